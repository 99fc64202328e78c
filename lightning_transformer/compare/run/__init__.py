"""`compare run`: plans the runs of a comparison, starts them and records their outcomes."""
