"""Base of the position encodings."""

import torch
from torch import Tensor, nn

WITHOUT_FLOAT64 = {"mps"}  # types of devices: Apple's GPUs


def longest_float(device: torch.device) -> torch.dtype:
    """What angles are computed in: float64, as float32 is off by 2e-3 at position 32 000.

    float32 on a device that has nothing longer.
    """
    return torch.float32 if device.type in WITHOUT_FLOAT64 else torch.float64


class PositionEncoding(nn.Module):
    """Where position enters a stack; every hook does nothing unless a subclass says otherwise.

    `positions` (T,) or (B, T) count real tokens: padding on the left and packed documents shift or
    restart them. `bias` is asked for places in the row instead, so it may only use differences.

    embed:  (B, T, D), positions -> (B, T, D)        once, on the token embeddings
    angles: positions -> what rotate needs, or None  once per forward
    rotate: (B, H, T, K), angles -> same             queries and keys, every layer
    rotate_keys: the same, if keys turn otherwise    keys, every layer
    bias:   (T,), (S,) -> (H, T, S) or None          once per forward, added to the scores

    acts_on_scores: overrides angles or bias. acts_on: whether they act in a layer, counted from 0.
    past_only: counts back from a query, so no query may see what comes after it.
    """

    past_only = False

    def __init__(self, *, d_model: int, n_heads: int, head_dim: int, max_len: int) -> None:
        super().__init__()

    @property
    def acts_on_scores(self) -> bool:
        # Derived from the hooks: a flag of its own could be forgotten, and the stack would then
        # accept attention without scores, where angles and bias have no effect.
        return self.rotates or type(self).bias is not PositionEncoding.bias

    @property
    def rotates(self) -> bool:
        return type(self).angles is not PositionEncoding.angles

    def acts_on(self, layer: int) -> bool:
        return True

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        return x

    def angles(self, positions: Tensor) -> Tensor | None:
        return None

    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        return x

    def rotate_keys(self, x: Tensor, angles: Tensor) -> Tensor:
        return self.rotate(x, angles)

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        return None
