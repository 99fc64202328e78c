"""The contract of attention kernels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext


@dataclass(frozen=True)
class ScoreMods:
    """Changes of the scores s (B, H, T, S) besides scaling, in this order.

    mix_scores: s -> same. softcap c: s -> c tanh(s / c). Then bias and mask. sinks (H,): the score
    of one more key for each head, whose value is zero. mix_weights: after the softmax, w -> same.
    """

    mix_scores: Callable[[Tensor], Tensor] | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    mix_weights: Callable[[Tensor], Tensor] | None = None


class Kernel(Protocol):
    """softmax(q k^T / sqrt(K) + bias, limited to mask) v.

    Shapes: q (B, H, T, K), k (B, G, S, K), v (B, G, S, V) with H a multiple of G -> (B, H, T, V). A
    query that may see nothing gets zeros. `dropout` is the rate to apply now: 0 outside training.
    supports: the fields of `ScoreMods` it computes; others are refused at build time.
    """

    supports: frozenset[str]

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor: ...


@runtime_checkable
class LimitedTraining(Protocol):
    """A kernel that cannot train on every device or with every option."""

    def check_training(self, device: str, dropout: float) -> None:
        """Raise ValueError where it cannot: on a device such as cpu, with dropout of weights."""


def require(kernel: Kernel, needs: Iterable[str], attention: str) -> None:
    """Raise ValueError unless a kernel supports the fields of `ScoreMods` an attention needs."""
    for need in sorted(set(needs) - kernel.supports):
        raise ValueError(
            f"attention={attention} needs {need}, which kernel={type(kernel).__name__.lower()} "
            "does not compute; use kernel=eager"
        )
