"""Generating tokens from a model: sampling, caches, and what follows a full context."""
