"""What is measured while training, every log_every optimizer steps and never in between."""

import time
from typing import Any

import lightning as L
from torch import Tensor
from torch.optim import Optimizer

from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.models.base import Transformer
from lightning_transformer.training.callbacks.progress import Display

MANY_WITHOUT_LOSS = 5  # logged steps running


class MetricLogger(L.Callback):
    """Logs train/loss, optim/lr, optim/grad_norm and perf/tokens_per_s, and feeds the display.

    Between two logs it costs a comparison: reading a number from a device would make the step wait.
    Says once that steps had nothing to learn from. Times leave validation out. tokens are real
    input tokens (no padding), source and target.
    """

    def __init__(self, display: Display, log_every: int) -> None:
        self.display, self.log_every = display, log_every
        self.tokens_seen = 0  # over all ranks, estimated as this rank's times their number
        self.seconds = 0.0  # of training, validation left out, over all starts of the run
        self._started = 0.0
        self._tokens_logged, self._seconds_logged = 0, 0.0
        self._step = 0
        self._rates: dict[str, float] = {}
        self._said_idle, self._n_without_loss = False, 0

    def state_dict(self) -> dict[str, Any]:
        return {"tokens_seen": self.tokens_seen, "seconds": self._clock()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.tokens_seen, self.seconds = state_dict["tokens_seen"], state_dict["seconds"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._tokens_logged, self._seconds_logged = self.tokens_seen, self.seconds
        self._step = trainer.global_step
        self.display.start(trainer.global_step, int(trainer.max_steps))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Not at the end of validation, when other callbacks are still at work, e.g. on samples.
        if not self._started:
            self._started = time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        # At the batch's end the schedule has set the rates of the next step already.
        if self._logs_at(trainer, trainer.global_step + 1):
            self._rates = learning_rates(optimizer)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        model: Any = pl_module
        self.tokens_seen += model.n_tokens_read * data_ranks(trainer)[1]
        step = trainer.global_step
        if step == self._step:
            return  # inside an accumulation window
        self._step = step
        if self._logs_at(trainer, step):
            assert isinstance(pl_module, Transformer)
            self._log(trainer, pl_module, step)

    def _logs_at(self, trainer: L.Trainer, step: int) -> bool:
        return step % self.log_every == 0 or step == trainer.max_steps

    def _log(self, trainer: L.Trainer, model: Transformer, step: int) -> None:
        loss = model.take_train_loss()
        self._say_idle(model.step_targets.take_idle(), loss, step)
        seconds = self._clock()
        speed = (self.tokens_seen - self._tokens_logged) / max(seconds - self._seconds_logged, 1e-9)
        self._tokens_logged, self._seconds_logged = self.tokens_seen, seconds
        values = dict(self._rates)
        if loss is not None:
            values["train/loss"] = loss
        if isinstance(model.grad_norm, Tensor):
            values["optim/grad_norm"] = float(model.grad_norm)
        values |= model.task.statistics(model)
        values |= model.expert_load.statistics(model.total)
        values["perf/tokens_per_s"] = speed
        values["perf/tokens"] = self.tokens_seen
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)
        self.display.step(step, values)

    def _say_idle(self, n_idle: int, loss: float | None, step: int) -> None:
        """n_idle: steps without a target since the last log. loss: None where none had any."""
        if n_idle and not self._said_idle:
            self._said_idle = True
            self.display.say(
                f"{n_idle} of the steps up to step {step:,} had no target, so that nothing was "
                "learned from them; a larger data.batch_size has more targets in a step"
            )
        self._n_without_loss = self._n_without_loss + 1 if loss is None else 0
        if self._n_without_loss == MANY_WITHOUT_LOSS:
            self.display.say(
                f"no training loss at {MANY_WITHOUT_LOSS} logged steps running, up to step "
                f"{step:,}: no step has a target, so that nothing is learned"
            )

    def _clock(self) -> float:
        """Seconds of training so far."""
        return self.seconds + (time.perf_counter() - self._started if self._started else 0.0)

    def _pause(self) -> None:
        self.seconds, self._started = self._clock(), 0.0

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.display.validated(trainer.global_step, self._log_metrics(trainer, "val/"))

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log_metrics(trainer, "test/")

    def _log_metrics(self, trainer: L.Trainer, prefix: str) -> dict[str, float]:
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(prefix)}
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
        return values

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pause()
        self.display.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._pause()
        self.display.stop()


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """The rates of the next step: optim/lr is that of optimizer.lr, others bear their group's name.

    Muon has a rate of its own for the hidden matrices: optim/lr_matrices.
    """
    groups = optimizer.param_groups
    main = groups[-1]
    own = [group for group in groups if group["initial_lr"] != main["initial_lr"]]
    return {"optim/lr": main["lr"]} | {f"optim/lr_{g['name']}": g["lr"] for g in own}
