"""Using a trained model: `python -m lightning_transformer.generate`, and its parts as a library."""
