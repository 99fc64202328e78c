"""Several sources as one: their shares of the stream of samples, their order and their splits."""
