"""debug=lr_find: one short run in which the learning rate rises, to see where it stops to help."""

import csv
import io
import math
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import lightning as L
from torch import Tensor

from lightning_transformer.nn import checks
from lightning_transformer.runs.atomic import write_atomically

CURVE_FILE, TEXT_FILE = "lr_find.csv", "lr_find.txt"
KEEP = 0.9  # share of the running mean that stays at each step
LEAST = 10  # steps before anything is concluded, at rates that hardly change the weights
ABOVE = 1.25  # times the loss of those: more than its noise


class LRFinder(L.Callback):
    """The learning-rate range test: all rates rise together, and the loss is noted (Smith 2017).

    In step t of n every rate is its configured value times low * (high / low)^(t / (n - 1)),
    whatever the schedule says; a loss is noted under the factor of the update before it. Ends the
    run when the smoothed loss is a quarter above that of the first ten steps. Writes lr_find.csv,
    and in lr_find.txt the factors of the steepest descent and of the least loss.

    It is a look at the first steps of training and no search: the loss falls with the steps as well
    as with the rates, rates that are good for long are often lower than the ones it names, and two
    seeds differ. With clipping, or an optimizer whose steps have a fixed size, the loss may not
    rise within the range at all: then the least loss says little. Lightning's own
    finder gives all parameter groups one rate, where optimizers here have two in a fixed ratio.

    low, high: factors of the configured rates, 0 < low < high.
    """

    def __init__(self, *, low: float = 1e-3, high: float = 100.0) -> None:
        checks.positive("callbacks.lr_finder.low", low, 1e-3)
        checks.positive("callbacks.lr_finder.high", high, 100)
        if low >= high:
            raise ValueError(
                f"callbacks.lr_finder.low={low} must be below high={high}, for example 1e-3"
            )
        self.low, self.high = low, high
        self.stopping_reason_message: str | None = None
        self._factor: float | None = None  # of the last update
        self._mean = 0.0
        self._rows: list[tuple[float, float, float]] = []  # factor, loss, smoothed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        share = trainer.global_step / max(1, trainer.max_steps - 1)
        factor = self.low * (self.high / self.low) ** share
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = factor * group["initial_lr"]

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        mine: Any = pl_module.step_loss
        loss = trainer.strategy.reduce(mine, reduce_op="mean")
        assert isinstance(loss, Tensor)
        self._note(float(loss))
        share = (trainer.global_step - 1) / max(1, trainer.max_steps - 1)
        self._factor = self.low * (self.high / self.low) ** share
        if diverged(self._rows):
            self.stopping_reason_message = "the smoothed loss is far above that of the first steps"
            trainer.should_stop = True

    def _note(self, loss: float) -> None:
        if self._factor is None:
            return  # of the initial weights
        n = len(self._rows) + 1
        self._mean = KEEP * self._mean + (1 - KEEP) * loss
        self._rows.append((self._factor, loss, self._mean / (1 - KEEP**n)))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._write(trainer)  # such as a loss that is not finite

    def _write(self, trainer: L.Trainer) -> None:
        if not trainer.is_global_zero or len(self._rows) <= LEAST:
            return
        folder = Path(trainer.default_root_dir)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("factor", "loss", "smoothed_loss"))
        writer.writerows(self._rows)
        write_atomically(folder / CURVE_FILE, table.getvalue())
        rates = {
            str(g.get("name", "all")): g["initial_lr"] for g in trainer.optimizers[0].param_groups
        }
        write_atomically(folder / TEXT_FILE, "\n".join(conclusions(self._rows, rates)) + "\n")


def diverged(rows: list[tuple[float, float, float]]) -> bool:
    """Whether the smoothed loss has come to be far above that of the first steps."""
    return len(rows) > LEAST and rows[-1][2] > ABOVE * fmean(row[1] for row in rows[:LEAST])


def conclusions(rows: list[tuple[float, float, float]], rates: dict[str, float]) -> list[str]:
    """What a test has shown, in lines.

    rows: factor, loss, smoothed loss, in their order. rates: configured, by parameter group.
    """
    smoothed = [row[2] for row in rows]
    slopes = [
        (after - before) / math.log(rows[i + 1][0] / rows[i][0])
        for i, (before, after) in enumerate(pairwise(smoothed))
    ]
    least = min(range(len(rows)), key=smoothed.__getitem__)
    falling = range(LEAST, max(least, LEAST + 1))  # the first means are of few steps
    steepest = min((i for i in falling if i < len(slopes)), key=slopes.__getitem__, default=least)
    lines = [
        f"learning-rate range test over {len(rows) + 1} steps: factors of the configured rates",
        _line("steepest descent", rows[steepest][0], rates),
        _line("least loss", rows[least][0], rates),
    ]
    if diverged(rows):
        lines.append(_line("loss above the start", rows[-1][0], rates))
    return [
        *lines,
        "a look at the first steps: the loss falls with the steps as well as with the rates, good",
        "rates for a whole run are often 3 to 10 times below that of the least loss, and where the",
        "loss never rises it says little; `compare run` searches with runs of their own",
    ]


def _line(what: str, factor: float, rates: dict[str, float]) -> str:
    shown = dict.fromkeys(f"{factor * rate:.3g}" for rate in rates.values())
    return f"{what:22}factor {factor:<8.3g} rates {', '.join(shown)}"
