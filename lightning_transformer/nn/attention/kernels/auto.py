from dataclasses import fields

from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA


class Auto:
    """sdpa wherever it computes what is asked of the scores, eager elsewhere.

    The same choice in training, evaluation and decoding, on every device. What was chosen is said
    once when a run starts. flex is never chosen: it has to be asked for, until it is measured to be
    faster and runs everywhere.
    """

    supports = Eager.supports

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._sdpa, self._eager = SDPA(), Eager()

    def require(self, what: str) -> None:
        """Remember what an attention needs, for `describe`."""
        self._asked.add(what)

    def describe(self) -> str:
        """One line that tells which kernel computes what."""
        rest = sorted(self._asked - SDPA.supports)
        if not rest:
            return "kernel=auto takes sdpa, the fastest that computes all that is asked here"
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
    """Names of what is done to the scores."""
    return [f.name for f in fields(score_mods) if getattr(score_mods, f.name) is not None]
