"""Known failures of a machine as one line with a way out, instead of a stack trace."""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from omegaconf import DictConfig

from lightning_transformer.data.base import DataModule
from lightning_transformer.errors import TrainingError


@contextmanager
def explain_errors(cfg: DictConfig) -> Iterator[None]:
    """Within, a machine that is out of memory, workers or ports is a TrainingError of one line."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        line = remedy(error, cfg)
        if line is None:
            raise
        raise TrainingError(line) from error


@contextmanager
def explain_reading(data: DataModule, note: Callable[[str | None], None]) -> Iterator[None]:
    """Within, data that do not fit into memory while they are read are a TrainingError.

    Where the system ends the process, or an allocation outside of Python aborts it, no line of
    Python runs any more: so what happened is noted before, and the note taken back afterwards.
    """
    path = getattr(data, "path", None)
    what = f"data.path={path}" if path else f"data={data.name}"
    remedy = "use fewer data, or a machine with more memory"
    note(
        f"reading and encoding {what}; if its process is gone, it ended there, often for want of "
        f"memory: {remedy}"
    )
    try:
        yield
    except MemoryError as error:
        raise TrainingError(
            f"out of memory while {what} was read and encoded, before the model was built; {remedy}"
        ) from error
    finally:
        note(None)


def remedy(error: BaseException, cfg: DictConfig) -> str | None:
    """Cause and ways out in one line; None for a failure that is not known here."""
    message = " ".join(str(error).split())
    if _is_out_of_memory(error, message):
        asked = re.search(r"[Tt]ried to allocate ([\d.]+ ?\w+)", message)
        what = f" ({asked[1]} more were asked for)" if asked else ""
        return f"out of memory{what}; {', or '.join(_smaller(cfg))}"
    if worker := re.search(r"DataLoader worker \(pid\(?s?\)?[^)]*\) ([^.]*)", message):
        return (
            f"data.num_workers={cfg.data.num_workers}: a worker {worker[1]}, often for want of "
            "memory; use data.num_workers=0"
        )
    if "EADDRINUSE" in message or getattr(error, "errno", None) == errno.EADDRINUSE:
        return (
            "the port on which the processes of this run meet is taken by another program; "
            "start again with another one, for example MASTER_PORT=29511"
        )
    return None


def _is_out_of_memory(error: BaseException, message: str) -> bool:
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in message


def _smaller(cfg: DictConfig) -> list[str]:
    """The three cheapest changes that are left, and what each saves."""
    trainer, data = cfg.trainer, cfg.data
    ways = []
    if data.batch_size >= 2 * trainer.accumulate:
        ways.append(
            f"trainer.accumulate={2 * trainer.accumulate} halves the activations, same result"
        )
    if not trainer.activation_checkpointing:
        ways.append("trainer.activation_checkpointing=true keeps only what enters each block")
    if trainer.precision == "32-true":
        ways.append("trainer.precision=bf16-mixed halves most activations")
    ways.append(f"data.seq_len={max(1, data.seq_len // 2)} halves them, another model")
    return ways[:3]
