"""What a run keeps of its model before the first step: a reference, and answers of its own."""
