"""Weights of known models, from Hugging Face's names and shapes to ours."""
