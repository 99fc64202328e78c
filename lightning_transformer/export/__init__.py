"""A trained model as a folder in the format of Hugging Face: `python -m ...export RUN --to DIR`."""
