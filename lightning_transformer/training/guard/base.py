"""The contract of guards: callbacks that check loss and gradient before each update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.models.base import Transformer
from lightning_transformer.optim.trained_set import trained_parameters


class Seen(NamedTuple):
    """Loss and gradient of one optimizer step (from 1), all on the device."""

    step: int
    bad: Tensor  # 0-d bool: the update must not happen
    loss: Tensor  # 0-d, of this rank
    norm: Tensor  # 0-d, of the full gradient, over all ranks
    norms: Tensor | None  # (n,), of each parameter's gradient; None where those are still there


class Guard(L.Callback):
    """Checks every step between backward and update; a subclass defines what is bad and what then.

    A bad step's update is left out: weights and optimizer stay, the schedule goes on. On a CPU the
    host reads the verdict at once, and drops the gradients. On a GPU the optimizer itself leaves
    the update out, by torch's `found_inf`, and the host reads verdicts every log_every steps and
    before anything is saved, so that no step waits. Where the optimizer cannot do that, each step
    reads one number; `say` reports it once.

    counts: events so far, for result.json. must_prevent: whether a bad update is to be left out, or
    may be done because it will be undone.
    """

    must_prevent = True

    def __init__(self, log_every: int, say: Callable[[str], None]) -> None:
        self.log_every, self.say = log_every, say
        self.counts = {"skipped": 0, "rewound": 0}
        self.at_once = True
        self.trainer: L.Trainer
        self.model: Transformer
        self._unread: list[Seen] = []
        self.scaled = False

    # -- for a subclass ---------------------------------------------------------------------------

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        """0-d bool on the device, without waiting: whether this update must not happen."""
        raise NotImplementedError

    def bad(self, seen: Seen) -> None:
        """Called on the host for a bad step, in order; may raise to end the training."""
        raise NotImplementedError

    def good(self, seen: Seen) -> None:
        """Called on the host for any other step, in order."""

    # -- around the update ------------------------------------------------------------------------

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Transformer)
        self.trainer, self.model = trainer, pl_module
        self._unread = []
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.at_once = reading_is_free(pl_module.device)
        optimizer = trainer.optimizers[0]
        if not self.at_once and self.must_prevent and (self.scaled or not leaves_out(optimizer)):
            self.at_once = True
            who = "16-mixed" if self.scaled else type(optimizer).__name__
            self.say(f"guard: each step waits, because {who} cannot leave out an update by itself")
        pl_module.set_guard(self.before_update)

    def before_update(self, optimizer: Optimizer) -> None:
        """Called between backward and update, before clipping."""
        model = self.model
        assert model.step_loss is not None
        assert model.grad_norm is not None
        loss, norm = model.step_loss, model.grad_norm
        step, bad = self.trainer.global_step + 1, self.judge(loss, norm)
        seen = Seen(step, bad, loss, norm, None if self.at_once else gradient_norms(model))
        if not self.at_once:
            optimizer.found_inf = seen.bad.float()  # type: ignore[attr-defined]
            self._unread.append(seen)
        elif seen.bad:
            self.bad(seen)
            optimizer.zero_grad(set_to_none=True)  # optimizers pass over what has no gradient
        else:
            self.good(seen)

    def read(self) -> None:
        """Wait for the device and handle all steps since the last time."""
        unread, self._unread = self._unread, []
        if unread:
            for seen, bad in zip(
                unread, torch.stack([s.bad for s in unread]).tolist(), strict=True
            ):
                (self.bad if bad else self.good)(seen)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self._unread and self._unread[-1].step % self.log_every == 0:
            self.read()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.read()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.read()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(pl_module, Transformer):
            pl_module.set_guard(None)

    def state_dict(self) -> dict[str, Any]:
        self.read()  # a checkpoint holds no step that was not judged
        return {}

    # -- for messages -----------------------------------------------------------------------------

    def note(self, event: str, seen: Seen) -> None:
        """Put an event into the loggers and on the display."""
        loss, norm = float(seen.loss), float(seen.norm)
        for logger in self.trainer.loggers:
            values = {f"guard/{event}_loss": loss, f"guard/{event}_grad_norm": norm}
            logger.log_metrics(values, step=seen.step)
        self.say(f"step {seen.step:,}  {event}: loss {loss:.4g}, gradient norm {norm:.4g}")

    def samples(self, step: int, rank: int) -> np.ndarray:
        """Numbers of the examples that a rank had in a step (from 1)."""
        loader: Any = self.trainer.train_dataloader
        _, n = data_ranks(self.trainer)
        # Ranks that share a model's layers follow each other, and read the same.
        return np.array_split(loader.sample_ids(step - 1), n)[rank * n // self.trainer.world_size]

    def mean_over_ranks(self, loss: Tensor) -> Tensor:
        """The loss of the full step, from each rank's share; does not wait for the device."""
        mean = self.trainer.strategy.reduce(loss, reduce_op="mean")
        assert isinstance(mean, Tensor)
        return mean

    def first_bad_parameter(self, seen: Seen) -> str | None:
        """The name of the first parameter whose gradient is not finite. Call on all ranks."""
        norms = gradient_norms(self.model) if seen.norms is None else seen.norms
        bad = torch.nonzero(norms.isfinite().logical_not_()).flatten()
        first = bad[0] if len(bad) else torch.tensor(len(norms), device=norms.device)
        if self.trainer.world_size > 1:  # each rank may hold a part of the gradient
            first = self.trainer.strategy.all_gather(first).min()
        trained = {id(parameter) for parameter in trained_parameters(self.model)}
        names = [name for name, p in self.model.named_parameters() if id(p) in trained]
        return names[int(first)] if int(first) < len(names) else None


def gradient_norms(model: Transformer) -> Tensor:
    """(n,) norms of the gradients of all trained parameters, or of this rank's parts of them.

    0 for one that stands still.
    """
    grads = [p.new_zeros(1) if p.grad is None else p.grad for p in trained_parameters(model)]
    parts = [grad.to_local() if isinstance(grad, DTensor) else grad for grad in grads]
    return torch.stack(torch._foreach_norm(parts))


def reading_is_free(device: torch.device) -> bool:
    """Whether the host can read a value without waiting for the device."""
    return device.type == "cpu"


def leaves_out(optimizer: Optimizer) -> bool:
    """Whether the optimizer reads `found_inf` on the device: torch's fused ones, some of ours."""
    return any(
        getattr(optimizer, name, False)
        for name in ("_step_supports_amp_scaling", "takes_found_inf")
    )
