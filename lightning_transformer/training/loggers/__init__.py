"""Where metrics go: a CSV file, TensorBoard."""
