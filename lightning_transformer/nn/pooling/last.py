"""Pooling by the last token (Radford et al. 2018)."""

import torch
from torch import Tensor, nn


class LastPooling(nn.Module):
    """The last real position of each row, which in a causal model has seen it all (GPT, 2018).

    Pads, if any, are on the right. Shape: (B, T, D), padding (B, T) or None -> (B, D).
    """

    n_extra_tokens = 0

    def forward(self, features: Tensor, padding: Tensor | None) -> Tensor:
        if padding is None:
            return features[:, -1]
        last = (~padding).sum(dim=1).clamp(min=1) - 1
        return features[torch.arange(len(features), device=features.device), last]
