"""Vectors that a stack reads before the tokens of each row."""
