"""A norm for lightning_transformer that lives in a package of its own."""
