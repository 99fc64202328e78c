"""How certain a difference is: sources of error, repeated looks, tests and verdicts."""
