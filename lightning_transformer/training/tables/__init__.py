"""What a test leaves in the run folder beside its numbers: tables and pictures."""
