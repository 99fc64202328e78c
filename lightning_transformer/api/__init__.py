"""The package in Python: train, load and compare runs, and build parts of a model."""
