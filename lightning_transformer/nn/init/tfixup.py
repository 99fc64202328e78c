"""T-Fixup initialisation (Huang et al. 2020)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import Init, StackInfo


@dataclass(frozen=True)
class TFixup(Init):
    """Trains deep transformers with norm=none and without warm-up (Huang et al. 2020, T-Fixup).

    Xavier-uniform for queries and keys. Values, outputs and feed-forward layers are that times
    0.67 N^(-1/4) in an encoder of N layers and (9 M)^(-1/4) in a decoder of M that reads one.
    Embeddings are N(0, 1 / d) times (9 M)^(-1/4).

    The paper is about encoder-decoders. Here a stack alone has the encoder's factor, as it has no
    cross-attention, and its own N in place of M for its embeddings.
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        n = info.n_layers
        gain = (9 * n) ** -0.25 if info.reads_source else 0.67 * n**-0.25
        nn.init.xavier_uniform_(weight, gain=gain, generator=generator)

    def query_key(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.xavier_uniform_(weight, generator=generator)

    def head(self, weight: Tensor, generator: Generator) -> None:
        nn.init.xavier_uniform_(weight, generator=generator)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        self.embedding_at(weight, StackInfo(), generator)

    def embedding_at(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        n = info.n_readers or info.n_layers
        std = weight.shape[1] ** -0.5 * (9 * n) ** -0.25
        nn.init.normal_(weight, std=std, generator=generator)
