"""Runs in the queue of a cluster."""
