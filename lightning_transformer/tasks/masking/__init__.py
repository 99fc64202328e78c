"""Masking: which tokens of a text become targets of task=masked_lm."""
