"""Feed-forward layers, dense and with experts."""
