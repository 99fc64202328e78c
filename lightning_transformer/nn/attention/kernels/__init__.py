"""How scores become outputs: one kernel per option of `kernel`."""
