"""Attention layers: softmax over scores of queries and keys, and its variants."""
