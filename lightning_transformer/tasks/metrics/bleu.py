"""The BLEU score of generated text."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

MAX_ORDER = 4  # words in the longest n-gram


class Bleu(Metric):
    """BLEU of a corpus with one target per output, 0 to 100 (Papineni et al. 2002; Post 2018).

        100 min(1, exp(1 - r / h)) (p_1 p_2 p_3 p_4)^(1/4)

    p_n: share of the n-grams of all outputs that stand in their targets, counted at most as often
    as there; h, r: words of all outputs and of all targets. Words are cut and a p_n of 0 is
    smoothed as by sacrebleu's defaults, which `signature` names. What is added up are counts, so
    that parts and ranks give the score of the whole.
    """

    counts: Tensor  # (10,): words of outputs and of targets, matches by n, n-grams of outputs by n

    def __init__(self) -> None:
        super().__init__()
        counts = torch.zeros(2 + 2 * MAX_ORDER, dtype=torch.long)
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, outputs: Sequence[str], targets: Sequence[str]) -> None:
        """Add texts, output and target in pairs."""
        for output, target in zip(outputs, targets, strict=True):
            found = _sentence_counter().sentence_score(output, [target])
            new = [found.sys_len, found.ref_len, *found.counts, *found.totals]
            self.counts += torch.tensor(new, device=self.counts.device)

    def compute(self) -> Tensor:
        """0-d float32."""
        from sacrebleu.metrics import BLEU

        n_words, n_wanted, *of_orders = self.counts.tolist()
        found = BLEU.compute_bleu(
            of_orders[:MAX_ORDER], of_orders[MAX_ORDER:], n_words, n_wanted, smooth_method="exp"
        )
        return torch.tensor(float(found.score), device=self.counts.device)

    @staticmethod
    def signature() -> str:
        """How sacrebleu names this score, its options and its version."""
        from sacrebleu.metrics import BLEU

        scorer = BLEU()
        scorer.corpus_score([""], [[""]])  # tells it the number of targets
        return f"BLEU|{scorer.get_signature()}"


@cache
def _sentence_counter() -> Any:
    """A scorer of single sentences, for their counts; sacrebleu is loaded when text is scored."""
    from sacrebleu.metrics import BLEU

    return BLEU(smooth_method="none", effective_order=True)
