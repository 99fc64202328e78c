"""What makes two configurations comparable: changes to one, so that it costs what the other does.

A match is called with the configuration of a variant and of the baseline, and answers with what to
change in the variant. It is asked before any run starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from omegaconf import DictConfig

from lightning_transformer.build import build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.size import Size, measure

STEPS = "trainer.max_steps"
# In steps, so that they follow the budget: key to the least value.
LENGTHS = {"trainer.val_every": 1, "schedule.warmup_steps": 0, "schedule.timescale": 1}


@dataclass(frozen=True)
class Matched:
    """What a variant needs to be like the baseline.

    Attributes:
        changes: key to value; nothing where it is near enough as it is.
        residual: what it then has over what the baseline has, less one.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    residual: float = 0.0


Match = Callable[[DictConfig, DictConfig], Matched]


def size_of(cfg: DictConfig) -> Size:
    """Parameters and FLOPs of a configuration's model, built on the meta device, for bytes."""
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=ByteVocabulary(), labels=["a", "b"], seed=0)
    return measure(model, int(cfg.data.seq_len))


def rebudgeted(cfg: DictConfig, steps: int) -> dict[str, int]:
    """Another number of steps, and what else counts in steps in proportion."""
    configured = int(cfg.trainer.max_steps)
    changes = {STEPS: steps}
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
            f"match: {what} differ by {residual:+.1%} from the baseline's, which match.tolerance="
            f"{tolerance} does not allow; {advice} or match=none"
        )
