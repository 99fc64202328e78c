"""Go back to a checkpoint and leave out the data that led to a spike."""

from collections.abc import Callable
from typing import Any

import lightning as L
from torch import Tensor

from lightning_transformer.errors import TrainingError
from lightning_transformer.nn import checks
from lightning_transformer.training.guard.base import Guard, Seen
from lightning_transformer.training.guard.running_stats import Window


class RewindAsked(Exception):
    """Training has to go back: to a checkpoint of step `latest` or before, and leave out `skip`."""

    def __init__(self, step: int, latest: int, skip: int) -> None:
        super().__init__(f"step {step} asks to go back to step {latest} or before")
        self.step, self.latest, self.skip = step, latest, skip

    def n_left_out(self, start: int) -> int:
        """Steps' worth of data to leave out from the checkpoint of step `start` on."""
        return max(self.skip, self.step - start)


class Rewind(Guard):
    """At a spike or a value that is not finite goes back, and leaves out data from there on.

    Raises RewindAsked; the caller of fit goes on from the last checkpoint that is at least `back`
    steps before the spike, without the next `skip` steps' worth of data, and without all up to the
    spike's. After `times` of this it gives up. See Window for what a spike is.

    Source: Chowdhery et al. 2022 (PaLM), section 5.1.
    """

    must_prevent = False  # updates done before the host reads the verdict are undone

    def __init__(
        self,
        *,
        log_every: int,
        say: Callable[[str], None],
        sigmas: float = 6.0,
        window: int = 128,
        after: int = 64,
        back: int = 20,
        skip: int = 40,
        times: int = 5,
    ) -> None:
        super().__init__(log_every, say)
        for name, value in (("back", back), ("skip", skip), ("times", times)):
            checks.at_least(f"guard.{name}", value, 1)
        self.window = Window(window, sigmas, after)
        self.back, self.skip, self.times = back, skip, times

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.window.to(pl_module.device)

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        return self.window.judge(self.mean_over_ranks(loss), norm)

    def bad(self, seen: Seen) -> None:
        self.note("rewound", seen)
        if self.counts["rewound"] >= self.times:
            raise TrainingError(
                f"step {seen.step} spikes again after {self.times} rewinds; try a lower "
                f"optimizer.lr, or guard.times={2 * self.times}"
            )
        self.counts["rewound"] += 1
        raise RewindAsked(seen.step, seen.step - self.back, self.skip)

    def state_dict(self) -> dict[str, Any]:
        super().state_dict()
        return {"window": self.window.state_dict(), "rewound": self.counts["rewound"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.window.load_state_dict(state_dict["window"])
        # The checkpoint to go back to does not know of the rewind that leads to it.
        self.counts["rewound"] = max(self.counts["rewound"], state_dict["rewound"])
