"""Mean pooling over the real positions."""

from torch import Tensor, nn


class MeanPooling(nn.Module):
    """The mean of the real positions. Shape: (B, T, D), padding (B, T) or None -> (B, D)."""

    n_extra_tokens = 0

    def forward(self, features: Tensor, padding: Tensor | None) -> Tensor:
        if padding is None:
            return features.mean(dim=1)
        real = (~padding).to(features.dtype)[..., None]
        return (features * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
