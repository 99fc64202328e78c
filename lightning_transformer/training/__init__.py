"""One run: preparation, trainer, fit, test and result."""
