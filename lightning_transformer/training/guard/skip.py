"""Leave out the updates of spikes."""

from collections.abc import Callable
from typing import Any

import lightning as L
from torch import Tensor

from lightning_transformer.errors import TrainingError
from lightning_transformer.nn import checks
from lightning_transformer.training.guard.base import Guard, Seen
from lightning_transformer.training.guard.running_stats import Window


class Skip(Guard):
    """Leaves out an update whose loss or gradient norm is a spike, or not finite.

    Weights and optimizer stay as they are; the step counts, so schedule and data go on. See Window
    for what a spike is. Too many in a row end the run: the level has changed, or the data is bad.

    Source: the SkipStepOptimizer of OLMo-core, in which spikes enter the window; here they do not.
    """

    def __init__(
        self,
        *,
        log_every: int,
        say: Callable[[str], None],
        sigmas: float = 6.0,
        window: int = 128,
        after: int = 64,
        in_a_row: int = 16,
    ) -> None:
        super().__init__(log_every, say)
        checks.at_least("guard.in_a_row", in_a_row, 1)
        self.window = Window(window, sigmas, after)
        self.in_a_row = in_a_row
        self._row = 0  # skipped one after the other up to now

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.window.to(pl_module.device)

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        return self.window.judge(self.mean_over_ranks(loss), norm)

    def good(self, seen: Seen) -> None:
        self._row = 0

    def bad(self, seen: Seen) -> None:
        self._row += 1
        self.counts["skipped"] += 1
        self.note("skipped", seen)
        if self._row >= self.in_a_row:
            raise TrainingError(
                f"steps {seen.step - self._row + 1} to {seen.step} were all skipped as spikes; the "
                "weights are those of before. Try a lower optimizer.lr, or guard.in_a_row="
                f"{2 * self.in_a_row} if the data may be so"
            )

    def state_dict(self) -> dict[str, Any]:
        super().state_dict()
        counts = {"skipped": self.counts["skipped"], "in_a_row": self._row}
        return {"window": self.window.state_dict(), **counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.window.load_state_dict(state_dict["window"])
        self.counts["skipped"], self._row = state_dict["skipped"], state_dict["in_a_row"]
