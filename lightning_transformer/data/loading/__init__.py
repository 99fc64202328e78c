"""Which examples a step sees: a pure function of the seed and the number of the step."""
