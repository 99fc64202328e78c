"""Learning rates of single parameters, as factors of the optimizer's."""
