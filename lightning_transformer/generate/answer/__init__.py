"""What a trained model makes of texts, one module per task."""
