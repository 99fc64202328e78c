"""What makes a difference uncertain besides the seeds, one module for each."""
