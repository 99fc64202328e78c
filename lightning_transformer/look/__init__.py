"""Looking at data: what is in them, and what a model gets of them; nothing is trained."""
