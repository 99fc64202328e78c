"""Weight initialisation schemes."""
