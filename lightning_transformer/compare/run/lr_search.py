"""The searches of a comparison on part of its budget: learning rates, and successive halving.

Both choose by the validation loss. Each variant gets a learning rate of its own from short runs
with another seed; halving (Jamieson and Talwalkar 2016) pauses the reported runs at 1/f^2 and 1/f
of the budget, and only the best 1/f of the variants continue.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lightning_transformer.compare.report.comparison import EarlyStop
from lightning_transformer.compare.run.outcome import Job, Outcome, Outcomes
from lightning_transformer.compare.run.request import SCREENING_SEED
from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.runs.naming import job_name, override_key

FACTORS = (0.5, 1.0, 2.0)  # of the configured rate
SHARE = 4  # a screening run has this part of the budget
MAX_WIDENED = 3


@dataclass(frozen=True)
class Screening:
    """The state of the search for one variant; losses by factor of the rates, None = diverged."""

    losses: dict[float, float | None]
    pending: tuple[float, ...]
    chosen: float | None  # None while jobs are pending
    at_edge: bool = False
    start_loss: float | None = None
    widened: int = 0


def screening(variant: Variant, outcomes: Outcomes) -> Screening:
    """The losses so far, the rates that are still to be tried, and the choice."""
    factors, widened = list(FACTORS), 0
    while True:
        ended: dict[float, Outcome] = {}
        for factor in sorted(factors):
            if outcome := outcomes.get((_folder(variant, factor), None)):
                ended[factor] = outcome
        losses = {f: None if o.diverged else o.loss for f, o in ended.items()}
        pending = tuple(f for f in factors if f not in ended)
        start_loss = ended[1.0].start_loss if 1.0 in ended else None
        if pending:
            return Screening(losses, pending, None, False, start_loss, widened)
        # A tie goes to the lower rate; where all diverge, lower ones are tried.
        best = min(ended, key=lambda f: (ended[f].rank_loss, f))
        edges = {min(ended): min(ended) / 2, max(ended): max(ended) * 2}
        if best not in edges or widened == MAX_WIDENED:
            if losses[best] is None:
                best = 1.0
            return Screening(losses, (), best, best in edges, start_loss, widened)
        factors.append(edges[best])
        widened += 1


def screening_job(variant: Variant, factor: float, index: int) -> Job:
    """The short run of a variant with its rates times the factor; index: of the variant."""
    steps = max(1, variant.steps // SHARE)
    lengths = {
        key: min(max(round(value / SHARE), min(value, 1)), max(steps - 1, 0))
        if key.endswith("warmup_steps")
        else max(1, round(value / SHARE))
        for key, value in variant.lengths.items()
    }
    changed = {
        "trainer.max_steps": steps,
        "trainer.val_every": steps,
        "trainer.log_every": 1,  # the loss of the first step is that of the initial weights
        "trainer.limit_test_batches": 1,  # rates are chosen by val; the test set is for the report
        **lengths,
        **{key: repr(rate) for key, rate in variant.rates_at(factor).items()},
    }
    kept = (text for text in variant.overrides if override_key(text) not in changed)
    overrides = (*kept, *(f"{k}={v}" for k, v in changed.items()), f"seed={SCREENING_SEED}")
    order = (0, int(factor not in FACTORS), int(factor != 1.0), index)
    return Job(_folder(variant, factor), variant.label, overrides, None, steps, order, True)


def _folder(variant: Variant, factor: float) -> str:
    key, rate = next(iter(variant.rates_at(factor).items()))
    return f"screening/{job_name([*variant.compared, f'{key}={rate!r}'])}"


@dataclass(frozen=True)
class Halving:
    """Which variants continue at a rung, a step at which all runs pause.

    All runs follow the schedule of the whole budget; a rung only interrupts them.

    Attributes:
        factor: the best 1 / factor continue; None for no rungs.
        n_contenders: variants that can be stopped, which are all but the baseline and its placebo.
    """

    factor: int | None
    n_contenders: int

    @property
    def n_rungs(self) -> int:
        """Rungs before the end: two where one does not bring the contenders down to one."""
        return 2 if self.factor and self.n_contenders > self.factor else 1

    def val_every(self, variant: Variant) -> int:
        """Steps between validations: as configured, or less where the first rung comes before."""
        if self.factor is None:
            return variant.val_every
        return max(1, min(variant.val_every, variant.steps // self.factor**self.n_rungs))

    def rungs(self, variant: Variant) -> list[int | None]:
        """Steps at which runs pause, multiples of val_every, ascending; then None for the end."""
        if self.factor is None:
            return [None]
        every = self.val_every(variant)
        parts = [variant.steps / self.factor**k for k in range(self.n_rungs, 0, -1)]
        found = {max(1, round(part / every)) * every for part in parts}
        return [*sorted(step for step in found if step < variant.steps), None]

    def stopped_at(
        self, losses: Mapping[str, float], steps: Mapping[str, int]
    ) -> dict[str, EarlyStop]:
        """The contenders that a rung at these steps stops, by label.

        losses: mean validation loss over the seeds, infinite if one diverged. The best
        ceil(n / factor) continue; a tie goes to the first.
        """
        assert self.factor is not None
        ranked = sorted(losses, key=lambda label: losses[label])
        n_kept = math.ceil(len(ranked) / self.factor)
        limit = losses[ranked[n_kept - 1]]
        found = {}
        for rank, label in enumerate(ranked[n_kept:], start=n_kept + 1):
            loss = losses[label]
            what = f"val/loss {loss:.4f}" if math.isfinite(loss) else "diverged or failed"
            found[label] = EarlyStop(
                steps[label],
                f"{what} at step {steps[label]} is rank {rank} of {len(ranked)}; "
                f"{n_kept} went on, the last of them with {limit:.4f}",
            )
        return found
