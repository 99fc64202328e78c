"""What was chosen per variant by short runs, and how far the choice may be from the best."""
