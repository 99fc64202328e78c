"""The training step, the optimizer and the evaluation that all architectures share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.distributed.parallelize import (
    gather_blocks,
    is_parallel,
    parallelise,
    release_blocks,
)
from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.models.expert_load import ExpertLoad
from lightning_transformer.models.gradient_clipping import GradientClipping, unscale
from lightning_transformer.models.running_loss import RunningLoss
from lightning_transformer.models.step_rng import seed_step
from lightning_transformer.models.step_targets import StepTargets
from lightning_transformer.models.unit_weights import keep_unit_norm
from lightning_transformer.nn import checks
from lightning_transformer.nn.cache import StackCache
from lightning_transformer.nn.init.base import Init, initialise
from lightning_transformer.nn.layer_sharing.base import LayerSharing
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.stack import Stack
from lightning_transformer.nn.types import ModuleFactory, NormFactory
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.base import Schedule
from lightning_transformer.tasks.base import Batch, Task
from lightning_transformer.tasks.metrics.row_losses import RowLosses


@dataclass
class Decoding:
    """The state of a model between two generated tokens."""

    cache: StackCache
    memory: Tensor | None = None  # (B, S, D), the encoded source
    memory_padding: Tensor | None = None


class Transformer(L.LightningModule):
    """Step, loss, optimizer and evaluation of all architectures; subclasses compute features.

    causal: a position sees no later one. has_source: reads a second row. slides: can go on
    generating past max_len, from the latter half of what it wrote. seed: of the initial weights.
    dropout_seed: of dropout in training; by default the same.
    """

    causal: bool
    has_source: bool = False
    slides: bool = False

    def __init__(
        self,
        *,
        d_model: int,
        max_len: int,
        dropout: float,
        embedding: ModuleFactory,
        block: ModuleFactory,
        position: ModuleFactory,
        norm: NormFactory,
        pattern: Pattern,
        layer_sharing: LayerSharing,
        stochastic_depth: float,
        init: Init,
        task: Task,
        optimizer: Any,
        schedule: Schedule,
        vocabulary: Vocabulary,
        labels: Sequence[str],
        seed: int,
        dropout_seed: int | None = None,
    ) -> None:
        super().__init__()
        checks.at_least("d_model", d_model, 1)
        checks.fraction("dropout", dropout)
        self.max_len = max_len + task.n_extra_tokens
        self.embedding: nn.Embedding = embedding(vocabulary.size, d_model)
        self.task = task
        self.task.build(
            d_model=d_model, vocabulary=vocabulary, labels=labels, embedding=self.embedding
        )
        # A stack of this model's components, of so many layers.
        self.stack = partial(
            Stack,
            d_model=d_model,
            max_len=self.max_len,
            block=block,
            position=position,
            norm=norm,
            pattern=pattern,
            layer_sharing=layer_sharing,
            stochastic_depth=stochastic_depth,
            dropout=dropout,
            vocab_size=vocabulary.size,
        )
        self.init, self._init_seed = init, seed
        self.dropout_seed = seed if dropout_seed is None else dropout_seed
        self.make_optimizer, self.schedule = optimizer, schedule
        self.evaluation = nn.ModuleDict()
        self.test_rows: RowLosses | None = None  # of the last test
        # Of the current step, for callbacks to read: loss of this rank, norm of the whole gradient.
        self.step_loss: Tensor | None = None
        self.grad_norm: Tensor | None = None
        self._guard: Callable[[Any], None] | None = None
        self._clipping = GradientClipping()
        self.step_targets = StepTargets()
        self.train_loss: RunningLoss | None = None
        self._ranks: tuple[int, int] | None = None

    def finish(self) -> None:
        """Give every weight its initial value; subclasses call it once all modules exist."""
        initialise(self, self.init, self._init_seed)
        self.expert_load = ExpertLoad(self, self.task.vocabulary.pad_id)

    def features(self, batch: Batch) -> Tensor:
        """(B, T, D), one vector per input position."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Tensor:
        return self.features(batch)

    def begin(self, rows: Sequence[np.ndarray]) -> tuple[Decoding, Tensor, Tensor | None]:
        """Prepare to generate from prompts or sources: state, first ids (B, T), their padding."""
        raise ValueError(f"model={type(self).__name__} does not generate; use decoder_only")

    def decode(self, ids: Tensor, state: Decoding, padding: Tensor | None = None) -> Tensor:
        """(B, T) new ids -> (B, T, D), remembering them in state."""
        raise NotImplementedError

    def configure_model(self) -> None:
        """Take on the run's precision; with trainer=fsdp2, tp or fsdp2_tp cut over the devices."""
        # Lightning does it after reading a checkpoint, and would cut float64 weights to float32.
        self.trainer.precision_plugin.convert_module(self)
        if self.device_mesh is None or is_parallel(self):
            return  # another strategy, or called again for the test
        parallelise(self, self.device_mesh)

    # -- training ---------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout: what it draws depends on the place in the run alone."""
        seed_step(
            self.dropout_seed,
            step=self.global_step,
            micro=batch_idx % self.trainer.accumulate_grad_batches,
            rank=self.data_ranks[0],
            device=self.device,
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.expert_load.listen()
        sums = self.task(self(batch), batch)
        objective = self.expert_load.join(sums.objective, batch)
        if self.train_loss is None:
            self.train_loss = RunningLoss()
        self.train_loss.add(sums.nll, batch.n_targets)
        # Lightning divides by the micro-batches, DDP and FSDP by the ranks; the divisor that we
        # want is the number of targets of the whole optimizer step, on all ranks.
        n_micro = self.trainer.accumulate_grad_batches
        # 0 * inf = nan: a loss that is not finite makes every gradient so, on every rank. The sum
        # also has the loss's precision, where a quotient of whole numbers has that of float32.
        n_targets = self._targets_of_step(batch, batch_idx)
        n_targets = torch.add(n_targets, objective.detach(), alpha=0)
        loss = objective * (n_micro * self.data_ranks[1] / n_targets)
        share = loss.detach() / n_micro if n_micro > 1 else loss.detach()
        before = None if batch_idx % n_micro == 0 else self.step_loss
        self.step_loss = share if before is None else before + share
        return loss

    def _targets_of_step(self, batch: Batch, batch_idx: int) -> Tensor:
        assert batch.step_targets is not None
        begun = self.step_targets.of_step
        if begun is not None and batch_idx % self.trainer.accumulate_grad_batches:
            return begun
        # Those that read the same rows count them several times; one process alone has no sum.
        n = self.trainer.world_size
        n_copies = n // self.data_ranks[1] if n > 1 else 0
        return self.step_targets.begin(batch.step_targets, self.total, n_copies)

    @property
    def data_ranks(self) -> tuple[int, int]:
        """(rank, number) of this process among those that read different rows."""
        if self._ranks is None:
            self._ranks = data_ranks(self.trainer)
        return self._ranks

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        unscale(getattr(self.trainer.precision_plugin, "scaler", None), optimizer)
        self.expert_load.balance(self.total)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Ask the guard about this step, then clip by value, or by the global norm of before."""
        self.grad_norm = self._clipping.norm(self)
        if self._guard is not None:
            self._guard(optimizer)
        if gradient_clip_val is None:
            return
        if gradient_clip_algorithm == "value":
            self._clipping.clip_values(gradient_clip_val)
        else:
            self._clipping.clip(gradient_clip_val, self.grad_norm)

    def set_guard(self, guard: Callable[[Any], None] | None) -> None:
        """Have `guard(optimizer)` called between backward and update, before clipping."""
        self._guard = guard

    def new_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer, whose steps keep the weights to what the initialisation promises."""
        optimizer: torch.optim.Optimizer = self.make_optimizer(self)
        keep_unit_norm(optimizer, self.init.unit_weights(self))
        return optimizer

    def configure_optimizers(self) -> Any:
        optimizer = self.new_optimizer()
        scheduler = lambda_lr(optimizer, self.schedule, int(self.trainer.max_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def take_train_loss(self) -> float | None:
        """Mean training loss since last asked, nats per target, all ranks. Waits for the device."""
        if self.train_loss is None:
            return None
        sums: list[float] = [*self.train_loss.take()]
        if self.trainer.world_size > 1:  # there is no float64 on Apple's GPUs, and but one of them
            sums = self.total(torch.tensor(sums, dtype=torch.float64, device=self.device)).tolist()
        nll, n_targets = sums
        return nll / n_targets if n_targets else None

    def last_train_loss(self) -> float | None:
        """Nats per target of the last micro-batch of this rank, if any. Waits for the device."""
        return None if self.train_loss is None else self.train_loss.last()

    def total(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        total = self.trainer.strategy.reduce(value, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    # -- evaluation -------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self._fresh_metrics()

    def on_test_epoch_start(self) -> None:
        self._fresh_metrics()
        self.test_rows = RowLosses(*self.data_ranks).to(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, self.test_rows)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _fresh_metrics(self) -> None:
        self.evaluation = nn.ModuleDict(self.task.metrics()).to(self.device)
        if self.task.n_generated:
            gather_blocks(self)

    def _evaluate(self, batch: Batch, rows: RowLosses | None = None) -> None:
        features = self(batch)
        if batch.step_targets is None:
            return  # only company for processes that have a batch left
        self.task.update(self.evaluation, features, batch, rows)
        self.task.generate_metrics(self, batch, self.evaluation)

    def _log_metrics(self, split: str) -> None:
        values = self.task.compute(self.evaluation)
        # Already exact over all ranks. float32 because Apple's GPUs have nothing longer. The Meter
        # passes them to the loggers, under the step that they belong to (Lightning's is one less).
        shown = {f"{split}/{name}": v.float().to(self.device) for name, v in values.items()}
        self.log_dict(shown, logger=False)
        if self.task.n_generated:
            release_blocks(self)
