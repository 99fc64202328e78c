"""Shared parts of match=: changes to a variant, so that it costs what the baseline does.

A match is called before any run starts, with the configurations of a variant and of the baseline,
and returns what to change in the variant.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import add_adapter, build, build_model
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import Size, measure
from lightning_transformer.optim.trained_set import trained_parameters
from lightning_transformer.tasks.token_task import TokenTask

STEPS = "trainer.max_steps"
# In steps, so that they follow the budget: key to the least value.
LENGTHS = {"trainer.val_every": 1, "schedule.warmup_steps": 0, "schedule.timescale": 1}


Match = Callable[[DictConfig, DictConfig], Matched]


def size_of(cfg: DictConfig) -> Size:
    """Parameters and FLOPs of a configuration's model, built on the meta device for its data.

    With its adapter, see `add_planned_adapter`.
    """
    vocabulary, labels = _read(OmegaConf.to_yaml(cfg.data, resolve=True))
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=vocabulary, labels=labels, seed=0)
        add_planned_adapter(cfg, model)
    return measure(model, int(cfg.data.seq_len))


def add_planned_adapter(cfg: DictConfig, model: Transformer) -> None:
    """Put the adapter of a configuration into a model, before the start of the run is read.

    Trained with it are those that `fresh` names and an output that is not over tokens, which is
    taken to be new. Raises ConfigError where nothing is left to train.
    """
    patterns = [str(pattern) for pattern in cfg.fresh]
    patterns += [] if isinstance(model.task, TokenTask) else ["task.*"]
    names = [name for name, _ in model.named_parameters()]
    add_adapter(cfg, model, new=[n for n in names if any(fnmatchcase(n, p) for p in patterns)])


def n_trained(cfg: DictConfig) -> int:
    """Trained parameters of a configuration, those of parts apart that are new to its start.

    Raises ValueError where only new parts are trained.
    """
    vocabulary, labels = _read(OmegaConf.to_yaml(cfg.data, resolve=True))
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=vocabulary, labels=labels, seed=0)
        trained = build(cfg, "adapter", model=model, seed=0).trained
    found = trained_parameters(model) if trained is None else trained
    if not found:
        raise ValueError(
            "match=trained: only new parts are trained here, which it leaves out; use adapter=lora"
        )
    return sum(p.numel() for p in found)


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
