"""The training step, the optimizer and the evaluation that all architectures share."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.distributed import parallelize
from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.models.expert_load import ExpertLoad
from lightning_transformer.models.gradient_clipping import GradientClipping, unscale
from lightning_transformer.models.running_loss import RunningLoss
from lightning_transformer.models.step_rng import seed_step
from lightning_transformer.models.step_targets import StepTargets
from lightning_transformer.models.weight_updates import WeightUpdates
from lightning_transformer.nn import checks
from lightning_transformer.nn.cache import Decoding
from lightning_transformer.nn.init.base import Init, draw_weights
from lightning_transformer.nn.layer_sharing.base import LayerSharing
from lightning_transformer.nn.memory_tokens.none import NoMemoryTokens
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.stack import Stack
from lightning_transformer.nn.types import ModuleFactory, NormFactory
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.base import Schedule
from lightning_transformer.tasks.base import Batch, Task
from lightning_transformer.tasks.metrics.baseline import Baseline
from lightning_transformer.tasks.metrics.row_losses import RowLosses


class Transformer(L.LightningModule):
    """Step, loss, optimizer and evaluation of all architectures; subclasses compute features.

    causal: a position sees no later one. has_source: reads a second row. slides: can go on
    generating past max_len, from the latter half of what it wrote. seed: of the initial weights,
    None where they are not drawn, as others take their place. dropout_seed: of dropout in training;
    by default the same.
    """

    causal: bool
    has_source: bool = False
    slides: bool = False
    n_tokens_read: int = 0  # by this rank in the current micro-batch of training
    # Of the current step, for callbacks to read: loss of this rank, norm of the whole gradient.
    step_loss: Tensor | None = None
    grad_norm: Tensor | None = None

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
        seed: int | None,
        dropout_seed: int | None = None,
        memory_tokens: ModuleFactory = NoMemoryTokens,
    ) -> None:
        super().__init__()
        checks.at_least("d_model", d_model, 1)
        checks.fraction("dropout", dropout)
        task.join_model(causal=self.causal, has_source=self.has_source)
        vocabulary = vocabulary.with_marks(task.marks)
        self.embedding: nn.Embedding = embedding(vocabulary.size, d_model)
        self.task = task
        task.build(d_model=d_model, vocabulary=vocabulary, labels=labels, embedding=self.embedding)
        self.max_len = max_len + task.n_extra_tokens
        self.stack = partial(  # of this model's components; called for so many layers
            Stack,
            d_model=d_model,
            max_len=self.max_len,
            block=block,
            position=position,
            norm=norm,
            pattern=pattern,
            layer_sharing=layer_sharing,
            memory_tokens=memory_tokens,
            stochastic_depth=stochastic_depth,
            dropout=dropout,
            vocab_size=vocabulary.size,
            reads_prefix=task.reads_prefix,
        )
        self.init, self._init_seed = init, seed
        own = seed if dropout_seed is None else dropout_seed
        assert own is not None, "without initial weights dropout needs a seed of its own"
        self.dropout_seed = own
        self.make_optimizer, self.schedule = optimizer, schedule
        self.updates, self._clipping = WeightUpdates(), GradientClipping()
        self.evaluation, self.baseline = nn.ModuleDict(), Baseline()
        self.test_rows: RowLosses | None = None  # of the last test
        self._guard: Callable[[Any], None] | None = None
        self.step_targets, self.train_loss = StepTargets(), RunningLoss()
        self._ranks: tuple[int, int] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_current_fx_name":
            return super().__setattr__(name, value)
        self.__dict__[name] = value  # some forty times in a step: no search among the weights

    def finish(self) -> None:
        """Give every weight its initial value; subclasses call it once all modules exist."""
        self.init.configure_model(self)
        if self._init_seed is not None:
            draw_weights(self, self.init, self._init_seed)
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
        if self.device_mesh is not None and not parallelize.is_parallel(self):  # it is for the test
            gathered_in = getattr(self.trainer.strategy, "gathered_in", None)
            parallelize.parallelise(self, self.device_mesh, gathered_in=gathered_in)

    # -- training ---------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout: what it draws depends on the place in the run alone."""
        micro = batch_idx % self.trainer.accumulate_grad_batches
        place = {"step": self.global_step, "micro": micro, "rank": self.data_ranks[0]}
        seed_step(self.dropout_seed, **place, device=self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self.task.complete(self, batch)
        self.n_tokens_read = batch.n_tokens
        self.expert_load.listen()
        sums = self.task(self(batch), batch)
        objective = self.expert_load.join(sums.objective, batch)
        self.train_loss.add(sums.nll, batch.n_targets)
        # Lightning divides by micro-batches, DDP and FSDP by ranks; we by the targets of a step.
        n_micro = self.trainer.accumulate_grad_batches
        # 0 * inf = nan: a loss that is not finite makes every gradient so, on every rank. The sum
        # also has the loss's precision, where a quotient of whole numbers has that of float32.
        n_targets = torch.add(self._targets_of_step(batch, batch_idx), objective.detach(), alpha=0)
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
        self.updates.hold_still(self.global_step)
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
        if gradient_clip_val is not None and gradient_clip_algorithm == "value":
            self._clipping.clip_values(gradient_clip_val)
        elif gradient_clip_val is not None:
            self._clipping.clip(gradient_clip_val, self.grad_norm)

    def optimizer_step(self, epoch: int, batch: int, optimizer: Any, closure: Any = None) -> None:
        """Update, then drop the gradients, which would add to the memory of the next forward."""
        super().optimizer_step(epoch, batch, optimizer, closure)
        # Lightning does it again before backward, which a step that was broken off needs.
        optimizer.zero_grad()

    def set_guard(self, guard: Callable[[Any], None] | None) -> None:
        """Have `guard(optimizer)` called between backward and update, before clipping."""
        self._guard = guard

    def new_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer, whose steps keep the weights to what the initialisation promises."""
        return self.updates.on(self.make_optimizer(self), self.init.unit_weights(self))

    def configure_optimizers(self) -> Any:
        optimizer = self.new_optimizer()
        scheduler = lambda_lr(optimizer, self.schedule, int(self.trainer.max_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def take_train_loss(self) -> float | None:
        """Mean training loss since last asked, nats per target, all ranks. Waits for the device."""
        sums: list[float] = [*self.train_loss.take()]
        if self.trainer.world_size > 1:  # there is no float64 on Apple's GPUs, and but one of them
            sums = self.total(torch.tensor(sums, dtype=torch.float64, device=self.device)).tolist()
        nll, n_targets = sums
        return nll / n_targets if n_targets else None

    def total(self, value: Tensor) -> Tensor:
        """Sum over all processes."""
        total = self.trainer.strategy.reduce(value, reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["task"] = self.task.training_state(self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.task.load_training_state(self, checkpoint.get("task", {}))

    # -- evaluation -------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self._fresh_metrics("val")

    def on_test_epoch_start(self) -> None:
        self._fresh_metrics("test")
        self.test_rows = RowLosses(*self.data_ranks).to(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "test", self.test_rows)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _fresh_metrics(self, split: str) -> None:
        self.evaluation = nn.ModuleDict(self.task.metrics()).to(self.device)
        self.baseline.begin(split, self.task, self.device)
        if self.task.to_generate(split):
            parallelize.gather_blocks(self)

    def _evaluate(self, batch: Batch, split: str, rows: RowLosses | None = None) -> None:
        features = self(batch)
        if batch.step_targets is None:
            return  # only company for processes that have a batch left
        self.task.update(self.evaluation, features, batch, rows)
        self.task.generate_metrics(self, batch, self.evaluation, split)
        self.baseline.add(split, self, batch)

    def _log_metrics(self, split: str) -> None:
        values = self.task.compute(self.evaluation)
        self.baseline.end(split, self.task)
        # Already exact over all ranks. float32 because Apple's GPUs have nothing longer. The
        # loggers get them from MetricLogger, under the step of theirs (Lightning's is one less).
        shown = {f"{split}/{name}": v.float().to(self.device) for name, v in values.items()}
        self.log_dict(shown, logger=False)
        if self.task.to_generate(split):
            parallelize.release_blocks(self)


# Lightning asks in every step what it takes; without this, the answer is built anew each time.
vars(Transformer)["training_step"].__signature__ = inspect.signature(Transformer.training_step)
