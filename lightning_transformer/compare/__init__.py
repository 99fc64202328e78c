"""From a sweep to an answer: what differs, by how much, how sure that is."""
