"""Pooling by a [CLS] token (Devlin et al. 2019)."""

from torch import Tensor, nn


class ClsPooling(nn.Module):
    """The first position, a special token that gathers the row (Devlin et al. 2019).

    The collator puts that token there. Shape: (B, T, D), padding unused -> (B, D).
    """

    n_extra_tokens = 1
    reads_first = True  # which in a causal model sees nothing of the row

    def forward(self, features: Tensor, padding: Tensor | None) -> Tensor:
        return features[:, 0]
