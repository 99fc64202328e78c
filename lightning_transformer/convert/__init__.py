"""Models of Hugging Face as ours and back: facts of a folder, and its weights by other names."""
