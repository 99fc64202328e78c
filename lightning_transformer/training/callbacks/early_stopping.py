"""Ends the training when a validation metric has stopped improving."""

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from torch import Tensor

from lightning_transformer.errors import ConfigError
from lightning_transformer.nn import checks
from lightning_transformer.runs.metric_direction import mode_of


class EarlyStopping(LightningEarlyStopping):
    """Ends the training at a validation that is the `patience`-th in a row without an improvement.

    An improvement is a value better than the best one so far by more than min_delta, in the units
    of the metric (Prechelt 1998). A value that is not finite ends the training at once. The reason
    is in result.json, and the test uses the best checkpoint as always.

    mode: min or max, None = by the metric's name. patience: validations, >= 1.
    Raises ConfigError for data without a validation split.
    """

    def __init__(
        self,
        *,
        monitor: str = "val/loss",
        mode: str | None = None,
        patience: int = 3,
        min_delta: float = 0.0,
    ) -> None:
        checks.at_least("callbacks.early_stopping.patience", patience, 1, 3)
        checks.non_negative("callbacks.early_stopping.min_delta", min_delta, 0.01)
        mode = mode_of(monitor, mode, "callbacks.early_stopping.mode")
        super().__init__(monitor, min_delta, patience, mode=mode)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and "val" not in trainer.datamodule.splits:  # type: ignore[attr-defined]
            raise ConfigError(
                "callbacks=early_stopping judges by validations, and data.val is empty; leave "
                "callbacks=early_stopping out, or give the data a validation split"
            )

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        """As Lightning does, with the reason in the words of this project."""
        stops, _ = super()._evaluate_stopping_criteria(current)
        if not stops:
            return False, None
        if not current.isfinite():
            return True, f"{self.monitor}={float(current)} is not finite"
        delta = f" by more than {abs(self.min_delta):g}" if self.min_delta else ""
        n = self.wait_count
        return True, (
            f"{self.monitor} has not improved on {float(self.best_score):.4g}{delta} "
            f"for {n} validation{'s' if n > 1 else ''}"
        )
