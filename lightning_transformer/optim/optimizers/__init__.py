"""One optimizer per option of `optimizer`."""
