"""Which parameters are not trained, one file per rule."""
