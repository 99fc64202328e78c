"""Runs of a comparison as jobs in the queue of a cluster, which outlive the command."""
