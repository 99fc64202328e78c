"""`python -m lightning_transformer.new GROUP NAME`: the files of a new option, to be edited."""
