"""What a paper needs of a comparison: the first block, a table in LaTeX, all metrics as CSV."""
