"""Attention without scores: linear recurrences, computed in chunks."""
