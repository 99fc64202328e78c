"""Small parts by which a trained model is fine-tuned while its own weights stay as they are."""
