"""What is predicted: batches, loss, metrics and predictions, one module per task."""
