"""The character n-gram F-score of generated text."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

MAX_ORDER = 6  # characters in the longest n-gram
BETA = 2.0  # recall counts beta times as much as precision


class ChrF(Metric):
    """Character n-gram F-score of a corpus, 0 to 100 (Popovic 2015).

    (1 + beta^2) P R / (beta^2 P + R), where P and R are the means over n = 1 .. 6 of the share of
    n-grams of the output that stand in the target, and of the target that stand in the output.
    White space does not count; n is left out where output or target has no n-gram that long. Equal
    to chrF2 of sacrebleu (Post 2018), with one target per output.
    """

    counts: Tensor  # (6, 3): n-grams in outputs, in targets, in both

    def __init__(self) -> None:
        super().__init__()
        counts = torch.zeros(MAX_ORDER, 3, dtype=torch.long)
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, outputs: Sequence[str], targets: Sequence[str]) -> None:
        """Add texts, output and target in pairs."""
        new = [
            [_count(output, target, n) for n in range(1, MAX_ORDER + 1)]
            for output, target in zip(outputs, targets, strict=True)
        ]
        self.counts += torch.tensor(new, device=self.counts.device).sum(dim=0)

    def compute(self) -> Tensor:
        """0-d float32."""
        orders = [(m / o, m / t) for o, t, m in self.counts.tolist() if o and t]
        score = 0.0
        if any(precision for precision, _ in orders):
            precision, recall = (sum(side) / len(orders) for side in zip(*orders, strict=True))
            score = 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
        return torch.tensor(score, device=self.counts.device)

    @staticmethod
    def signature() -> str:
        """How sacrebleu names this score, its options and its version."""
        from sacrebleu.metrics import CHRF

        scorer = CHRF()
        scorer.corpus_score([""], [[""]])  # tells it the number of targets
        return f"chrF2|{scorer.get_signature()}"


def _count(output: str, target: str, n: int) -> tuple[int, int, int]:
    """n-grams in the output, in the target, and in both."""
    found, expected = _ngrams(output, n), _ngrams(target, n)
    # The n-grams of an output do not count where the target is too short to have any.
    n_found = found.total() if expected else 0
    return n_found, expected.total(), (found & expected).total()


def _ngrams(text: str, n: int) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))
