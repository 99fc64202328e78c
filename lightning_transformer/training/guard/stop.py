"""Stop before an update that would spoil the weights."""

import math
import os
import shlex
from collections.abc import Callable

import lightning as L
from torch import Tensor
from torch.optim import Optimizer

from lightning_transformer.errors import TrainingError
from lightning_transformer.paths import PROGRAM
from lightning_transformer.training.guard.base import Guard, Seen

SHOWN = 16  # samples that the message names


class NonFinite(TrainingError):
    """A loss or a gradient was not finite."""


class StopOnNonFinite(Guard):
    """Raises NonFinite before the first update whose loss or gradient is not finite.

    Weights and optimizer are those of the step before. On a GPU no further update happens from that
    step on, and it is reported within log_every steps. A loss that is not finite makes the gradient
    so (see training_step), and the gradient's norm is that of all ranks: one number is enough, the
    same on all ranks. Under 16-mixed a gradient may overflow, which its scaler handles; there only
    the loss counts.
    """

    def __init__(self, *, log_every: int, say: Callable[[str], None]) -> None:
        super().__init__(log_every, say)
        self._stopped: Tensor | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._stopped = None

    def before_update(self, optimizer: Optimizer) -> None:
        norm = self.model.grad_norm
        assert norm is not None
        if self.at_once and not self.scaled and math.isfinite(norm):
            return  # the usual step, in a microsecond
        super().before_update(optimizer)

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        if self.scaled:
            norm = self.mean_over_ranks(loss)
        bad = norm.isfinite().logical_not_()
        if not self.at_once:
            self._stopped = bad if self._stopped is None else bad.logical_or_(self._stopped)
        return bad

    def bad(self, seen: Seen) -> None:
        rank, loss, norm = self.trainer.global_rank, float(seen.loss), float(seen.norm)
        if self.trainer.world_size > 1:  # name the rank whose loss it was, if it was one
            losses = self.trainer.strategy.all_gather(seen.loss).tolist()
            rank = next((r for r, value in enumerate(losses) if not math.isfinite(value)), rank)
            loss = losses[rank]
        what = "a gradient" if math.isfinite(loss) else "the loss"
        name = self.first_bad_parameter(seen)
        samples = self.samples(seen.step, rank).tolist()
        shown = ", ".join(map(str, samples[:SHOWN]))
        more = f" .. ({len(samples)})" if len(samples) > SHOWN else ""
        folder = shlex.quote(os.path.relpath(self.trainer.default_root_dir))
        raise NonFinite(
            f"step {seen.step} was not done because {what} is not finite: rank {rank}, "
            f"loss {loss:.4g}, gradient norm {norm:.4g}, first bad parameter {name}, "
            f"samples {shown}{more}; the weights are those of step {seen.step - 1}. Go on from the "
            f"last checkpoint with {PROGRAM} resume={folder} guard=skip, or start anew with a "
            "lower optimizer.lr"
        )
