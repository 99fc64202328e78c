"""Encoded text on disk: files that are mapped into memory, made once and used by every run."""
