"""match=none: nothing is made equal."""

from omegaconf import DictConfig

from lightning_transformer.compare.run.variants import Matched


class NoMatch:
    """Nothing is made equal: each variant is compared as it is configured."""

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        return Matched()
