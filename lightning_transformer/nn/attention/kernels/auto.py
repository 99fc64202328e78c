"""The fastest kernel that computes what an attention layer needs."""

from collections.abc import Set
from dataclasses import fields

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA


class Auto:
    """sdpa wherever it supports the `ScoreMods` of a layer, eager elsewhere.

    The same choice in training, evaluation and decoding, on every device; a run prints it once at
    its start. flex is never chosen, because it does not run everywhere and has not been measured
    to be faster.
    """

    supports = Eager.supports
    takes_windows = SDPA.takes_windows

    def __init__(self) -> None:
        self._sdpa, self._eager = SDPA(), Eager()

    @staticmethod
    def describe(needs: Set[str]) -> str:
        """Say in one line which kernel computes attention that needs these `ScoreMods`."""
        rest = sorted(needs - SDPA.supports)
        if not rest:
            return "kernel=auto takes sdpa, the fastest that computes all score options in use"
        return f"kernel=auto takes eager, because sdpa does not compute {' and '.join(rest)}"

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor:
        if score_mods is None or SDPA.supports.issuperset(_named(score_mods)):
            return self._sdpa(q, k, v, context, dropout, score_mods)
        return self._eager(q, k, v, context, dropout, score_mods)


def _named(score_mods: ScoreMods) -> list[str]:
    """Names of the fields that are set."""
    return [f.name for f in fields(score_mods) if getattr(score_mods, f.name) is not None]
