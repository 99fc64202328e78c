"""xIELU (Huang & Schlag 2024)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks


class XIELU(nn.Module):
    """Expanded integral of the ELU, its curvature on either side learned (Huang & Schlag 2024).

        x > 0:  a_p x^2 + beta x                    a_p = softplus(alpha_p)
        x <= 0: a_n (exp(x) - 1 - x) + beta x       a_n = beta + softplus(alpha_n)

    alpha_p and alpha_n are learned, one number each per layer; as a_n > beta, the gradient turns
    negative on the left. Shape: any -> same, same dtype.
    """

    n_inputs = 1

    def __init__(self, *, a_p: float = 0.8, a_n: float = 0.8, beta: float = 0.5) -> None:
        checks.positive("beta", beta, 0.5)
        checks.positive("a_p", a_p, 0.8)
        if not (math.isfinite(a_n) and a_n > beta):
            raise ValueError(f"a_n={a_n} must be above beta={beta}, for example {beta + 0.3:g}")
        super().__init__()
        self.beta = beta
        # Of shape (1,), because FSDP cannot shard a parameter without a dimension.
        self.alpha_p = nn.Parameter(torch.full((1,), _inverse_softplus(a_p)))
        self.alpha_n = nn.Parameter(torch.full((1,), _inverse_softplus(a_n - beta)))

    def forward(self, x: Tensor) -> Tensor:
        a_p = F.softplus(self.alpha_p).to(x.dtype)
        a_n = (self.beta + F.softplus(self.alpha_n)).to(x.dtype)
        # Clamped, because the side that is not taken must not overflow into the gradient.
        left = a_n * (x.clamp(max=0).expm1() - x)
        return torch.where(x > 0, a_p * x * x, left) + self.beta * x


def _inverse_softplus(y: float) -> float:
    return y + math.log(-math.expm1(-y))
