"""Masks as text, so that a test shows what it expects."""

import torch

from lightning_transformer.nn.pattern.base import Pattern


def drawn(pattern: Pattern, n: int) -> str:
    """One line per query, one character per key: x = may attend."""
    places = torch.arange(n)
    mask = pattern(places[:, None], places[None, :])
    return "\n".join("".join("x" if seen else "." for seen in row) for row in mask.tolist())
