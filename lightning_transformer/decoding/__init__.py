"""Token generation: sampling, incremental decoding, and restarting when the context is full."""
