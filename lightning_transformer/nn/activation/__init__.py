"""Activations of feed-forward layers, plain and gated."""
