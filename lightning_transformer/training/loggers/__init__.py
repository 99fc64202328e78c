"""Where metrics go: a CSV file, TensorBoard, Weights & Biases, MLflow, any logger of Lightning."""
