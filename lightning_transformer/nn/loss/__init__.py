"""Losses of scores against labels."""
