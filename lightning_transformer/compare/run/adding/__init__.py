"""Seeds, variants and a placebo that are added to a comparison."""
