"""`python -m lightning_transformer.compare.run.check`: check every variant, and time its steps.

A process of its own, because it reads data and builds models, and `compare run` loads no torch.
Reads JSON from its input: config_dirs, variants (label to overrides), and what else is checked and
not timed (also). Prints JSON: errors and prices, by label.
"""

import json
import math
import sys
import time
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig

from lightning_transformer.compare.run.match.time import step_seconds
from lightning_transformer.compare.run.outcome import Price
from lightning_transformer.config.compose import composed_with_options, composer, register
from lightning_transformer.data.base import DataModule
from lightning_transformer.training.preflight.data import check_run

N_STEPS = 5  # that are timed, of each variant
SECONDS = 30.0  # after which no further variant is timed
FORWARD = 1 / 3  # of the time of a training step


def examine(question: dict[str, Any]) -> dict[str, Any]:
    """The errors of the variants that cannot run; without any, the price of each.

    Where there are many variants, only the first of them are timed.
    """
    register()
    errors, found = {}, {}
    with composer(question["config_dirs"]):
        for label, overrides in (question["variants"] | question.get("also", {})).items():
            try:
                cfg, choices = composed_with_options(overrides)
                found[label] = cfg, check_run(cfg, choices)
            except Exception as error:  # also of a plug-in: all that cannot run, in one list
                errors[label] = _reason(error)
    prices: dict[str, Any] = {}
    end = time.monotonic() + SECONDS
    for label in () if errors else question["variants"]:
        cfg, data = found[label]
        if time.monotonic() >= end:
            break
        try:
            prices[label] = asdict(price(cfg, data))
        except Exception as error:  # a first step that fails would fail in every run
            errors[label] = f"in a training step: {_reason(error)}"
    return {"errors": errors, "prices": prices}


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def price(cfg: DictConfig, data: DataModule) -> Price:
    """The time of a training step, as measured, and of an evaluation, by its number of batches."""
    step = step_seconds(cfg, N_STEPS)
    limits = {"val": cfg.trainer.limit_val_batches, "test": cfg.trainer.limit_test_batches}
    n_batches = {
        split: min(math.ceil(len(data.splits.get(split, ())) / data.batch_size), limit or math.inf)
        for split, limit in limits.items()
    }
    return Price(step, *(step * FORWARD * n_batches[split] for split in ("val", "test")))


if __name__ == "__main__":
    json.dump(examine(json.load(sys.stdin)), sys.stdout)
