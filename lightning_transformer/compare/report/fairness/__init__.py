"""Which runs may stand in one table, and what is said where they differ."""
