"""Small initialisation (Nguyen & Salazar 2019)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import NormalTables, StackInfo


@dataclass(frozen=True)
class SmallInit(NormalTables):
    """N(0, 2 / (5 d)) for every matrix, d the width of the stream (Nguyen & Salazar 2019).

    That is Xavier's deviation for the feed-forward layer, d to 4 d, also for queries, keys, values
    and outputs, where Xavier's is larger. d is read off the matrix: what a layer takes, or what it
    gives if its output is added to the stream.
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=(2 / (5 * weight.shape[1])) ** 0.5, generator=generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.normal_(weight, std=(2 / (5 * weight.shape[0])) ** 0.5, generator=generator)
