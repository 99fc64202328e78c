"""The ROUGE scores of generated text."""

import re
from collections import Counter
from collections.abc import Sequence

from torch import Tensor
from torchmetrics import Metric

from lightning_transformer.tasks.metrics.mean import Mean

NO_WORD = re.compile(r"[^a-z0-9]+")


class Rouge(Metric):
    """Mean F1 of outputs by what they share with their target, 0 to 100 (Lin 2004).

        100 * 2 m / (o + t), with m shared units of o in the output and t in the target

    n: units are n-grams of words; 0 = ROUGE-L, units are words and shared those of the longest
    common subsequence. Words are runs of a-z and 0-9 in lower case, without stemming: text in
    another script has none. Equal to the package rouge-score without a stemmer.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.mean = Mean()

    def update(self, outputs: Sequence[str], targets: Sequence[str]) -> None:
        """Add texts, output and target in pairs."""
        for output, target in zip(outputs, targets, strict=True):
            self.mean.update(100 * self._of_pair(_words(output), _words(target)), 1)

    def _of_pair(self, output: list[str], target: list[str]) -> float:
        if self.n:
            found, wanted = _ngrams(output, self.n), _ngrams(target, self.n)
            n_shared, n_units = (found & wanted).total(), found.total() + wanted.total()
        else:
            n_shared, n_units = longest_common(output, target), len(output) + len(target)
        return 2 * n_shared / n_units if n_shared else 0.0

    def compute(self) -> Tensor:
        """0-d float64 on the host; NaN of nothing."""
        return self.mean.compute()

    def reset(self) -> None:
        """Forget all texts."""
        super().reset()
        self.mean.reset()

    def signature(self) -> str:
        """Which of the scores, and how words are found."""
        return f"ROUGE-{self.n or 'L'}|f1|stem:no|words:a-z0-9|case:lc"


def _words(text: str) -> list[str]:
    return NO_WORD.sub(" ", text.lower()).split()


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Words in the longest common subsequence of both."""
    lengths = [0] * (len(other) + 1)
    for a in one:
        before = 0
        for j, b in enumerate(other, start=1):
            kept = lengths[j]
            lengths[j] = before + 1 if a == b else max(kept, lengths[j - 1])
            before = kept
    return lengths[-1]
