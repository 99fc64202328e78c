"""Pooling of a row's features into one vector."""
