"""What is predicted: batches, heads, losses, metrics and samples of each task."""
