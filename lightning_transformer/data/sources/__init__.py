"""One data module per option of `data`."""
