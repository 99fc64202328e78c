"""Learned memory tokens (Burtsev et al. 2020)."""

import torch
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.memory_tokens.base import MemoryTokens


class LearnedMemoryTokens(MemoryTokens):
    """n_tokens learned vectors before every row (Burtsev et al. 2020, Memory Transformer).

        y = layers([m_1; ..; m_n; x_1; ..; x_T]) without its first n rows, m learned

    They go through all layers of a stack as tokens do; every token sees all of them, whatever the
    pattern. In an encoder they also read the row, and so can gather it. In a causal model they see
    but those before them, and never the row: the same for each text, as a learned prefix (Li &
    Liang 2021). Each stack has its own, and a decoder does not read those of its encoder, which the
    paper leaves in. `attention=persistent_memory` has keys and values of each layer instead, which
    no layer changes.

    Packed documents share them in a causal model with attention by scores; elsewhere one document
    would hear another through them, or would not hear them, and is refused.
    Shape: () -> (n_tokens, D).
    """

    def __init__(self, dim: int, *, n_tokens: int = 16) -> None:
        super().__init__()
        checks.at_least("n_tokens", n_tokens, 1)
        self.n_tokens = n_tokens
        self.vectors = nn.Embedding(n_tokens, dim)

    def forward(self) -> Tensor:
        places = torch.arange(self.n_tokens, device=self.vectors.weight.device)
        y = self.vectors(places)
        assert isinstance(y, Tensor)
        return y
