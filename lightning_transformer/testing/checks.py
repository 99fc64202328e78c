"""Contract checks, one per kind of component, for the tests of this package and of plug-ins.

Each takes what the option file builds (a factory, or the finished object) and raises AssertionError
with one line that says what is broken. A component that passes works in every model, trains from
the same weights as its rivals at equal seed, and decodes with a cache.
"""

from lightning_transformer.testing.attention import (
    check_attention,
    check_kernel,
    check_pattern,
    check_position,
)
from lightning_transformer.testing.layers import (
    check_activation,
    check_block,
    check_embedding,
    check_ffn,
    check_norm,
    check_pooling,
    check_residual,
)
from lightning_transformer.testing.training import check_init, check_loss, check_schedule

__all__ = [
    "check_activation",
    "check_attention",
    "check_block",
    "check_embedding",
    "check_ffn",
    "check_init",
    "check_kernel",
    "check_loss",
    "check_norm",
    "check_pattern",
    "check_pooling",
    "check_position",
    "check_residual",
    "check_schedule",
]
