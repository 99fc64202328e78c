"""Fixup initialisation (Zhang et al. 2019)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class Fixup(NormalTables):
    """Trains deep residual networks without normalisation (Zhang et al. 2019).

    The last layer of every residual branch and an untied head start at zero; the other layer of a
    branch is Xavier-uniform times n^(-1/2), n = additions to the residual stream (m = 2 layers per
    branch in the paper's L^(-1/(2m-2))). Its scalar biases and multipliers are left out here.
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.xavier_uniform_(weight, gain=info.n_residuals**-0.5, generator=generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.zeros_(weight)

    def head(self, weight: Tensor, generator: Generator) -> None:
        nn.init.zeros_(weight)
