"""What the options of debug= run beside training: quick checks of a model and of its speed."""
