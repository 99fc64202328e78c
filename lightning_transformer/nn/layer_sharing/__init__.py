"""Which layers of a stack share a block and its weights."""
