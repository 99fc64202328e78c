"""Position encodings: added to embeddings, rotated into queries and keys, or added to scores."""
