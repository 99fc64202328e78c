"""One layer of a stack: the order of attention and feed-forward layers."""
