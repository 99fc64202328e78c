"""Tokenizers: text to token ids and back, one module per kind."""
