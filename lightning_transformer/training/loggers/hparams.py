"""One row per run in TensorBoard's HParams tab: what was chosen, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import OmegaConf

from lightning_transformer.runs.result import RunResult

# What a person compares, and no more.
METRICS = {
    "test/loss": "result/test_loss",
    "val/loss": "result/val_loss",
    "perf/tokens_per_s": "result/tokens_per_s",
}


def log_start(loggers: Sequence[Logger], shown: Mapping[str, str], config: dict[str, Any]) -> None:
    """Open the row; TensorBoard shows the first five columns, so `shown` should be short."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(shown), dict.fromkeys(METRICS.values(), float("nan")))
            logger.experiment.add_text("config", _as_code(config))


def log_end(loggers: Sequence[Logger], result: RunResult) -> None:
    """Fill the row with what the run has reached."""
    values = result.metrics | {"perf/tokens_per_s": result.tokens_per_second}
    found = {tag: values[n] for n, tag in METRICS.items() if values.get(n) is not None}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_metrics({tag: float(v or 0.0) for tag, v in found.items()}, result.steps)
            logger.save()


def _as_code(config: dict[str, Any]) -> str:
    return "\n".join(f"    {line}" for line in OmegaConf.to_yaml(config).splitlines())
