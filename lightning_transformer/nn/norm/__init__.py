"""Normalisation layers over the feature dimension."""
