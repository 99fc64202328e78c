"""When checkpoints are written, and how Lightning's trainer writes into the safe folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy

from lightning_transformer.checkpoint import frozen, store
from lightning_transformer.checkpoint.disk_space import check_space
from lightning_transformer.optim.optimizers.schedule_free import averaged
from lightning_transformer.optim.trained_set import frozen_names


class Checkpointing(LightningCheckpoint):
    """Writes a checkpoint after every validation, every `save_every` steps, and when asked to.

    Weights that the run does not train are written once, at the first save, and left out of the
    checkpoints; where a model is cut over processes they are in each checkpoint.

    facts: gives what every manifest records about the run, asked at each save.
    """

    def __init__(
        self,
        folder: Path,
        *,
        val_every: int,
        save_every: int | None,
        facts: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.folder = folder
        self.val_every, self.save_every = val_every, save_every
        self.facts = facts
        self._due = False
        self._newest: store.Checkpoint | None = None
        self._frozen: dict[str, Any] = {}  # the entry of their file, once it is written

    def resume_at(self, start: store.Checkpoint, *, validated: bool) -> None:
        """Before training continues: validate that step first if the stop prevented it."""
        self._due = not validated and start.step % self.val_every == 0
        self._frozen = start.frozen

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave out what is not trained; the last callback, so that what others put in is seen."""
        names = frozen_names(pl_module)
        if not names or isinstance(trainer.strategy, ModelParallelStrategy):
            return
        weights = frozen.take_out(checkpoint, names)
        if trainer.is_global_zero:
            self._frozen = self._frozen or frozen.write_frozen(self.folder, weights)
            checkpoint[frozen.SHA256] = self._frozen["sha256"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._due:
            # As Lightning's training loop does it; the step is noted as validated afterwards.
            self._due = False
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self.save_every is None or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        step = trainer.global_step
        if step % self.save_every == 0 and not self._validates_at(trainer, step):
            self.save(trainer, {})

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = trainer.callback_metrics.items()
        self.save(trainer, {k: float(v) for k, v in values if k.startswith("val/")})

    def _validates_at(self, trainer: L.Trainer, step: int) -> bool:
        return step % self.val_every == 0 or trainer.should_stop or step >= trainer.max_steps

    def save(self, trainer: L.Trainer, metrics: dict[str, float]) -> None:
        """Write the checkpoint of the current step, or add metrics to it if it is there.

        To be called on all ranks. Raises OSError where the disk has no room; what was there stays.
        """
        step = trainer.global_step
        first = trainer.is_global_zero
        if (self.folder / f"step-{step}").exists():
            if first and metrics:
                store.add_metrics(store.verify(self.folder / f"step-{step}"), metrics)
            trainer.strategy.barrier()
            return
        temporary: Path = trainer.strategy.broadcast(self._begin(step) if first else Path())
        try:
            with averaged(trainer.optimizers):
                trainer.save_checkpoint(temporary / store.STATE, weights_only=False)
            if first:
                written = getattr(trainer.strategy.checkpoint_io, "written", {})
                known = {p.name: entry for p, entry in written.items() if p.parent == temporary}
                self._newest = store.commit(
                    temporary,
                    step,
                    metrics=metrics,
                    facts=self.facts(),
                    known=known,
                    frozen=self._frozen,
                )
                store.prune(self.folder)
        except OSError as error:
            store.clean(self.folder)
            raise self._explained(error, step) from error
        trainer.strategy.barrier()

    def _begin(self, step: int) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._newest is not None:
            check_space(self.folder, self._newest.size)
        return store.begin(self.folder, step)

    def _explained(self, error: OSError, step: int) -> OSError:
        kept = next((f"step {c.step}" for c in store.listed(self.folder)), "none")
        return OSError(
            error.errno,
            f"the checkpoint of step {step} was not written ({error.strerror or error}); "
            f"the newest one before it is undamaged: {kept}",
        )
