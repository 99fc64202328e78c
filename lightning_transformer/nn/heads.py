"""Splitting the width of a layer into heads."""

from torch import Tensor

from lightning_transformer.nn import checks


def head_width(width: int, n_heads: int, name: str = "model.d_model") -> int:
    """Width of one of n_heads equal parts; ValueError where n_heads does not divide the width."""
    checks.at_least("n_heads", n_heads, 1)
    if width % n_heads:
        below, above = width // n_heads * n_heads, (width // n_heads + 1) * n_heads
        near = f"{below} or {above}" if below else f"{above}"
        raise ValueError(
            f"{name}={width} is not divisible by attention.n_heads={n_heads}; nearest {near}"
        )
    return width // n_heads


def split_heads(x: Tensor, head_dim: int) -> Tensor:
    """(B, T, H*K) -> (B, H, T, K)."""
    return x.unflatten(-1, (-1, head_dim)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, H, T, K) -> (B, T, H*K)."""
    return x.transpose(1, 2).flatten(2)
