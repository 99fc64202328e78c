"""match=flops: training FLOPs per token are equal."""

from omegaconf import DictConfig

from lightning_transformer.compare.run.match.base import equal_cost, size_of
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
        costs = _per_step(variant), _per_step(baseline)
        return equal_cost(variant, baseline, costs, self.tolerance, "training FLOPs")


def _per_step(cfg: DictConfig) -> float:
    return size_of(cfg).flops_per_token * cfg.data.seq_len * cfg.data.batch_size
