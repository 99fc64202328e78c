"""Shared parts of match=: changes to a variant, so that it costs what the baseline does.

A match is called before any run starts, with the configurations of a variant and of the baseline,
and returns what to change in the variant.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, build_model
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.models.size import Size, measure

STEPS = "trainer.max_steps"
# In steps, so that they follow the budget: key to the least value.
LENGTHS = {"trainer.val_every": 1, "schedule.warmup_steps": 0, "schedule.timescale": 1}


Match = Callable[[DictConfig, DictConfig], Matched]


def size_of(cfg: DictConfig) -> Size:
    """Parameters and FLOPs of a configuration's model, built on the meta device for its data."""
    vocabulary, labels = _read(OmegaConf.to_yaml(cfg.data, resolve=True))
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=vocabulary, labels=labels, seed=0)
    return measure(model, int(cfg.data.seq_len))


@lru_cache  # for the many sizes of a search
def _read(data: str) -> tuple[Vocabulary, list[Any]]:
    """Vocabulary and labels of data: how large the output is, and so what a token costs."""
    source = build(OmegaConf.create({"data": OmegaConf.create(data)}), "data")
    source.prepare()
    return source.vocabulary, list(source.labels or [])


def equal_cost(
    variant: DictConfig,
    baseline: DictConfig,
    costs: tuple[float, float],
    tolerance: float,
    what: str,
) -> Matched:
    """As many steps of the variant as cost what all steps of the baseline cost.

    costs: of one step of the variant and of the baseline; what: their name in an error.
    Raises ValueError where rounding to whole steps leaves more than the tolerance.
    """
    budget = costs[1] * baseline.trainer.max_steps
    steps = max(1, round(budget / costs[0]))
    residual = costs[0] * steps / budget - 1
    check_tolerance(residual, tolerance, what, "take more steps")
    same = steps == variant.trainer.max_steps
    return Matched({} if same else rebudgeted(variant, steps), residual)


def rebudgeted(cfg: DictConfig, steps: int) -> dict[str, int | float]:
    """Another number of steps, and in proportion all other options that count steps."""
    configured = int(cfg.trainer.max_steps)
    changes: dict[str, int | float] = {STEPS: steps}
    for key, least in LENGTHS.items():
        group, _, name = key.partition(".")
        value = cfg[group].get(name)
        if value:
            changes[key] = max(least, round(value * steps / configured))
    return changes


def check_tolerance(residual: float, tolerance: float, what: str, advice: str) -> None:
    """Raise ValueError, in one line, for a mismatch above the tolerance."""
    if abs(residual) > tolerance:
        raise ValueError(
            f"match: {what} differ by {residual:+.2%} from the baseline's, which match.tolerance="
            f"{tolerance} does not allow; {advice} or match=none"
        )
