"""Tasks of lm-eval (Gao et al. 2021), from files: a trained decoder as its language model."""
