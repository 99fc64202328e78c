"""Data sources, tokenizers, packing and loaders; independent of tasks."""
