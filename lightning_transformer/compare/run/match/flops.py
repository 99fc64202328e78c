"""match=flops: training FLOPs per token are equal."""

from omegaconf import DictConfig

from lightning_transformer.compare.run.match.base import (
    check_tolerance,
    rebudgeted,
    size_of,
)
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.nn import checks


class Flops:
    """Equal training FLOPs: the variant gets as many steps as the baseline's FLOPs pay for.

    steps = round(steps_baseline * C_baseline / C), C = FLOPs per token * tokens per step. Whatever
    is configured in steps (warm-up, validations) follows in proportion.

    Raises ValueError where rounding to whole steps leaves more than the tolerance.
    """

    def __init__(self, *, tolerance: float = 0.01) -> None:
        checks.positive("tolerance", tolerance, 0.01)
        self.tolerance = tolerance

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        budget = _per_step(baseline) * baseline.trainer.max_steps
        cost = _per_step(variant)
        steps = max(1, round(budget / cost))
        residual = cost * steps / budget - 1
        check_tolerance(residual, self.tolerance, "training FLOPs", "take more steps, ")
        same = steps == variant.trainer.max_steps
        return Matched({} if same else rebudgeted(variant, steps), residual)


def _per_step(cfg: DictConfig) -> float:
    return size_of(cfg).flops_per_token * cfg.data.seq_len * cfg.data.batch_size
