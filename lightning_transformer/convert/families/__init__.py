"""One module per family, named as `model_type` in its config.json: sizes and names, both ways."""
