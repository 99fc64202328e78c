"""What runs in a job of the queue: around a run, or several runs at a time."""
