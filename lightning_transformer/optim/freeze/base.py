"""What a freeze option gives that lets parameters go in the course of a run."""

from collections.abc import Callable, Sequence

from torch import nn

# Step (from 0) -> the parameters that do not move in it; a pure function, so that resuming is exact
StandStill = Callable[[int], Sequence[nn.Parameter]]
