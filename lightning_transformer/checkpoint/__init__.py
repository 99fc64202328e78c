"""Checkpoints on disk: folders with a manifest of digests, written whole or not at all."""
