"""Linear layers that say what they are for, so that initialisers need not guess from names."""

from torch import nn


class ResidualOut(nn.Linear):
    """A linear layer whose output is added to the residual stream."""


class QueryKey(nn.Linear):
    """A linear layer that makes queries or keys: its output is compared, not passed on."""


class Head(nn.Linear):
    """The last linear layer: features to scores over a vocabulary or over classes."""
