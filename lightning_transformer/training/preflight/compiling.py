"""Whether the blocks of a run are compiled."""

from collections.abc import Callable

import lightning as L
from omegaconf import DictConfig

from lightning_transformer.checkpoint.store import Checkpoint
from lightning_transformer.config.auto_compile import is_long
from lightning_transformer.errors import ConfigError
from lightning_transformer.hardware.compiler import missing_for_cpu
from lightning_transformer.models.base import Transformer
from lightning_transformer.training.callbacks.compile_blocks import CompileBlocks, has_experts

AUTO = "auto"


def settle_compile(
    cfg: DictConfig,
    trainer: L.Trainer,
    model: Transformer,
    start: Checkpoint | None,
    say: Callable[[str], None],
) -> bool:
    """Whether blocks are compiled; what trainer.compile=auto stands for is decided and said here.

    auto compiles on a CPU, in one process, if the run is long enough (`config.auto_compile`). A
    run that is resumed goes on as it began: ConfigError where it was compiled and this machine has
    no compiler.
    """
    blocks = next(c for c in trainer.callbacks if isinstance(c, CompileBlocks))  # type: ignore[attr-defined]
    if cfg.trainer.compile != AUTO:
        return blocks.compile
    if start is not None:
        blocks.compile = _began_compiled(start)
    elif is_long(cfg) and trainer.strategy.root_device.type == "cpu" and trainer.world_size == 1:
        obstacle = _obstacle(cfg, model)
        blocks.compile = obstacle is None
        say(f"trainer.compile=auto {obstacle or SAID}")
    return blocks.compile


SAID = (
    "compiles the blocks, as the run is long: the first steps take a minute or so; false = do not"
)


def _began_compiled(start: Checkpoint) -> bool:
    compiled = bool(start.facts.get("compiled", False))
    if compiled and (missing := missing_for_cpu()):
        raise ConfigError(
            f"trainer.compile=auto compiled the blocks where the run began, for which this machine "
            f"lacks {missing}; install it, or add trainer.compile=false"
        )
    return compiled


def _obstacle(cfg: DictConfig, model: Transformer) -> str | None:
    """Why a run that is long enough is not compiled."""
    if cfg.trainer.activation_checkpointing and has_experts(model):
        return "does not compile: blocks with experts would stay as they are when computed again"
    if missing := missing_for_cpu():
        return f"does not compile the blocks of this long run, for want of {missing}"
    return None
