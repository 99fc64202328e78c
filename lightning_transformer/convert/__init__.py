"""Weights of Hugging Face models under the names of ours."""
