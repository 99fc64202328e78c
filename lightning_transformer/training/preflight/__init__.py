"""What is refused before anything expensive."""
