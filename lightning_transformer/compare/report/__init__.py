"""From run folders to a report: statistics and what is drawn of them; imports no torch."""
