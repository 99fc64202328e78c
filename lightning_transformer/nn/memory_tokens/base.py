"""The contract of memory tokens, and what they change in a row and in a mask."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn.position.base import PositionEncoding


class MemoryTokens(nn.Module):
    """Contract: `n_tokens` vectors that a stack puts before each row, and drops at its end.

    A subclass sets n_tokens and implements `forward`, which gives the vectors, (n_tokens, D).
    Tokens keep their positions, 0 to T - 1. Memory has none: no vector of a position is added to
    it, a rotation takes it as position 0, and no bias is added to its scores. n_positions: other
    than 0 where something stands at the first positions of every row, and tokens come after it;
    memory has the positions 0 to n_tokens - 1 then. group: that of the option.
    """

    n_tokens: int
    n_positions = 0
    group: ClassVar[str] = "memory_tokens"

    def forward(self) -> Tensor:
        raise NotImplementedError

    def before(self, x: Tensor, position: PositionEncoding) -> Tensor:
        """Rows (B, T, D) behind the vectors -> (B, n_tokens + T, D)."""
        own = self().to(x.dtype)[None]
        if self.n_positions:
            own = position.embed(own, torch.arange(self.n_tokens, device=x.device))
        return torch.cat((own.expand(x.shape[0], -1, -1), x), dim=1)

    def positions(self, of_tokens: Tensor, n_new: int) -> Tensor:
        """Positions of tokens, (T,) or (B, T), as all that is read has them: (.., n_new + T).

        n_new: of the vectors, 0 or n_tokens.
        """
        if not self.n_positions:
            return F.pad(of_tokens, (n_new, 0))
        own = torch.arange(n_new, device=of_tokens.device).expand(*of_tokens.shape[:-1], -1)
        return torch.cat((own, of_tokens + self.n_positions), dim=-1)


def widened(mask: Tensor, *, n: int, n_new: int, causal: bool) -> Tensor:
    """The mask of tokens (.., T, S) with n memory tokens before the keys -> (.., n_new + T, n + S).

    Every token sees all memory. n_new: of the queries that are memory, 0 or n; they see all, or,
    where `causal`, the memory up to themselves and no token.
    """
    mask = F.pad(mask, (n, 0), value=True)
    if not n_new:
        return mask
    own = torch.ones(n_new, mask.shape[-1], dtype=torch.bool, device=mask.device)
    own = own.tril() if causal else own
    return torch.cat((own.expand(*mask.shape[:-2], -1, -1), mask), dim=-2)
