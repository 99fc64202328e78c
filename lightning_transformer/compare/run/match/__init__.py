"""What is made equal between variants: parameters, FLOPs or time."""
