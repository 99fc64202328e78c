"""What task=reward needs of a run besides its options."""

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import refusing
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.reward import Reward


def check_reward(cfg: DictConfig, model: Transformer) -> None:
    """Refuse a reward that cannot be had, and weights in shards; ConfigError in one line."""
    if not isinstance(model.task, Reward):
        return
    if OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size") is not None:
        raise ConfigError(
            "task=reward writes answers in each step, which is not tested with weights or layers "
            "cut over devices; use trainer=ddp"
        )
    with refusing(cfg, "reward"):
        model.task.reward.check()
