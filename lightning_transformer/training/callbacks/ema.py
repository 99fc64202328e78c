"""An exponential moving average of the weights."""

from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lightning_transformer.errors import ConfigError
from lightning_transformer.nn import checks
from lightning_transformer.optim.trained_set import trained_parameters


class EMA(WeightAveraging):
    """A running mean of the weights that is validated, tested and kept in place of the last ones.

    After each optimizer step: mean = decay * mean + (1 - decay) * weights, from the weights of the
    first step on (Polyak & Juditsky 1992; Izmailov et al. 2018). Training itself never sees the
    mean. A checkpoint has the mean as its model and the weights beside it, to go on from.

    Differs from Lightning's own: what other callbacks do at the end of validation, such as samples,
    still sees the mean; training's end leaves the weights alone, so that a later checkpoint is
    right; and the test has the mean, where Lightning would load the weights of training. What is
    not trained has no mean: it is the model's own.

    decay: [0, 1). Raises ConfigError where the model is cut over processes.
    """

    def __init__(self, *, decay: float = 0.999) -> None:
        checks.fraction("decay", decay, 0.999)
        # Buffers are copied, not averaged: theirs may be whole numbers.
        super().__init__(use_buffers=False, multi_avg_fn=_mean_of_trained(decay))
        self._swapped = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise ConfigError(
                "callbacks=ema cannot average a model that is cut over processes; "
                "use trainer=ddp or callbacks=default"
            )
        if stage == "fit" and self._average_model is None:
            self._average_model = AveragedModel(pl_module, use_buffers=False, **self._kwargs)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move the mean to the device and precision that the model has by now."""
        trained = {id(parameter) for parameter in trained_parameters(pl_module)}
        assert self._average_model is not None
        pairs = zip(self._average_model.module.parameters(), pl_module.parameters(), strict=True)
        for mean, current in pairs:
            if id(current) not in trained:
                mean.data = current.data
                continue
            if current.dtype.itemsize < 4:
                raise ConfigError(
                    "callbacks=ema needs weights of float32, because the mean moves in small "
                    f"steps; trainer.precision={trainer.precision} has none, try bf16-mixed"
                )
            mean.data = mean.data.to(current)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._swap(pl_module, True)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pass  # done already

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pass  # other callbacks still need the mean

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._swap(pl_module, False)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._swap(pl_module, False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pass  # the weights stay those of training

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit":  # elsewhere the model of the checkpoint, the mean, is used
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _swap(self, pl_module: L.LightningModule, swapped: bool) -> None:
        if self._average_model is not None and swapped != self._swapped:
            self._swap_models(pl_module)
            self._swapped = swapped

    def _swap_models(self, pl_module: L.LightningModule) -> None:
        for mean, current in self._pairs(pl_module):
            if mean.data_ptr() != current.data_ptr():
                kept = mean.data.clone()
                mean.data.copy_(current.data)
                current.data.copy_(kept)

    def _pairs(self, pl_module: L.LightningModule) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter and buffer of the mean with the model's own."""
        assert self._average_model is not None
        mean = self._average_model.module
        yield from zip(mean.parameters(), pl_module.parameters(), strict=True)
        yield from zip(mean.buffers(), pl_module.buffers(), strict=True)


def _mean_of_trained(decay: float) -> Callable[[list[Tensor], list[Tensor], Any], None]:
    """torch's update of means, without those that are the weights themselves."""
    update = get_ema_multi_avg_fn(decay)

    def mean_of_trained(means: list[Tensor], weights: list[Tensor], n_averaged: Any) -> None:
        pairs = [
            (m, w) for m, w in zip(means, weights, strict=True) if m.data_ptr() != w.data_ptr()
        ]
        if pairs:
            update([m for m, _ in pairs], [w for _, w in pairs], n_averaged)

    return mean_of_trained
