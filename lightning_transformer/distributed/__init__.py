"""Several processes as one: ranks, shards, gradient norms and full state."""
