"""Checkpoints on disk: folders with a manifest of digests, written completely or not at all."""
