"""Packing: how encoded documents become rows of seq_len + 1 tokens."""
