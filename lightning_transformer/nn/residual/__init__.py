"""Residual connections: how the output of a layer joins the residual stream."""
