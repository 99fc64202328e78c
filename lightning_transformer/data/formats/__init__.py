"""Formats of files: one module per format, each a generator that streams a file."""
