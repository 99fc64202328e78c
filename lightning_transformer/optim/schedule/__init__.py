"""Learning-rate schedules: a factor of every group's lr for each optimizer step."""
