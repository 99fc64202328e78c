"""Models as Lightning modules: decoder-only, encoder-only and encoder-decoder."""
