"""Initialisation of DeepNet (Wang et al. 2022)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class DeepNet(NormalTables):
    """Xavier-normal, with gain beta for values, outputs and feed-forward layers (Wang et al. 2022).

    N layers alone: beta = (8 N)^(-1/4). N layers that M of a decoder read: 0.87 (N^4 M)^(-1/16).
    M layers that read a source: (12 M)^(-1/4). Made for residual=deepnorm.
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        n = info.n_layers
        if info.n_readers:
            beta = 0.87 * (n**4 * info.n_readers) ** (-1 / 16)
        else:
            beta = ((12 if info.reads_source else 8) * n) ** (-1 / 4)
        nn.init.xavier_normal_(weight, gain=beta, generator=generator)

    def query_key(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.xavier_normal_(weight, generator=generator)

    def head(self, weight: Tensor, generator: Generator) -> None:
        nn.init.xavier_normal_(weight, generator=generator)
