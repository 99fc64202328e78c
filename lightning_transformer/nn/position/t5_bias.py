"""Relative position bias of T5 (Raffel et al. 2020)."""

import math

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.embedding.base import look_up
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.position.base import PositionEncoding


class T5Bias(PositionEncoding):
    """A learned number per head and distance, added to the scores (Raffel et al. 2020, T5).

    Distances share n_buckets numbers: with n buckets for a side, those below n/2 have one each,
    then their width grows with the logarithm up to max_distance, from where on the last one holds.
    Past distances have all buckets in a causal stack, half of them where both sides are seen. All
    layers of a stack share the table. T5 itself also has attention.scale=1.
    """

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        head_dim: int,
        max_len: int,
        n_buckets: int = 32,
        max_distance: int = 128,
    ) -> None:
        super().__init__(d_model=d_model, n_heads=n_heads, head_dim=head_dim, max_len=max_len)
        checks.at_least("n_buckets", n_buckets, 4)
        if n_buckets % 4:
            near = n_buckets // 4 * 4
            raise ValueError(f"n_buckets={n_buckets} must be a multiple of 4, for example {near}")
        if max_distance <= n_buckets // 2:
            raise ValueError(
                f"max_distance={max_distance} must be above {n_buckets // 2}, half of n_buckets, "
                f"for example {4 * n_buckets}"
            )
        self.n_buckets, self.max_distance, self.causal = n_buckets, max_distance, True
        self.table = nn.Embedding(n_buckets, n_heads)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        """Learn whether there are keys to the right."""
        self.causal = info.causal
        return self

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        numbers: Tensor = look_up(self.table, self.buckets(queries[:, None] - keys[None, :]))
        return numbers.permute(2, 0, 1)  # (T, S, H) -> (H, T, S)

    def buckets(self, distance: Tensor) -> Tensor:
        """Query minus key -> number of the bucket, same shape."""
        n = self.n_buckets if self.causal else self.n_buckets // 2
        left = distance.clamp(min=0) if self.causal else distance.abs()
        single = n // 2
        # float32 as in T5: elsewhere a distance on an edge may fall into the neighbour.
        growth = (left.clamp(min=1).float() / single).log() / math.log(self.max_distance / single)
        wide = (single + (growth * (n - single)).long()).clamp(max=n - 1)
        bucket = torch.where(left < single, left, wide)
        return bucket if self.causal else bucket + n * (distance < 0)
