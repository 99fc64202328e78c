"""Losses of two answers to a prompt, of which one is preferred."""
