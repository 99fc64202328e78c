"""The translation edit rate of generated text."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class TranslationEditRate(Metric):
    """Edits per word of the targets, in per cent, lower is better (Snover et al. 2006).

        100 * edits / words of the targets

    Edits are words put in, taken out or replaced, and shifts of several, as sacrebleu finds them
    with its defaults, which `signature` names. 100 for output without any word in the targets.
    """

    counts: Tensor  # (2,): edits, words of the targets

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, outputs: Sequence[str], targets: Sequence[str]) -> None:
        """Add texts, output and target in pairs."""
        for output, target in zip(outputs, targets, strict=True):
            found = _scorer().sentence_score(output, [target])
            new = [int(found.num_edits), int(found.ref_length)]
            self.counts += torch.tensor(new, device=self.counts.device)

    def compute(self) -> Tensor:
        """0-d float32."""
        edits, words = self.counts.tolist()
        rate = edits / words if words else float(edits > 0)
        return torch.tensor(100 * rate, device=self.counts.device)

    @staticmethod
    def signature() -> str:
        """How sacrebleu names this score, its options and its version."""
        from sacrebleu.metrics import TER

        scorer = TER()
        scorer.corpus_score([""], [[""]])  # tells it the number of targets
        return f"TER|{scorer.get_signature()}"


@cache
def _scorer() -> Any:
    from sacrebleu.metrics import TER

    return TER()
