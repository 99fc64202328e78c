"""What is done with finished runs before their report is written."""
