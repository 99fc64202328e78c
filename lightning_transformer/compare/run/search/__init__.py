"""The searches of a comparison on part of its budget: rates, tuned keys, successive halving."""
