"""`compare run`: plans the runs of a comparison, starts them and keeps account of them."""
