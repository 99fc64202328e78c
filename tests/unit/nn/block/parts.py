"""What a block is made of, for tests of blocks and stacks."""

from functools import partial
from typing import Any

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.nn.residual.pre_norm import PreNorm


def parts(**others: Any) -> dict[str, Any]:
    """Arguments of a block; others take the place of the usual ones."""
    attention = partial(MultiHeadAttention, kernel=Eager(), qk_norm=NoNorm)
    usual = {
        "norm": RMSNorm,
        "attention": attention,
        "ffn": partial(Dense, activation=GELU),
        "residual": PreNorm,
    }
    return usual | others
