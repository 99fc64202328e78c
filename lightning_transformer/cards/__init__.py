"""One page per component, generated from the code and the option files."""
