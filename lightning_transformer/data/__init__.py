"""Sources of examples, tokenizers, packing and the loader; knows no task."""
