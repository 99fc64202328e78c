"""Data that are read and joined to their task as training does it, without a model's weights."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from omegaconf import DictConfig

from lightning_transformer.build import build, build_model, refusing
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.tasks.base import Batch, Task
from lightning_transformer.training import environment
from lightning_transformer.training.explain_errors import explain_reading
from lightning_transformer.training.preflight.build import check_packing, check_pairing
from lightning_transformer.training.preflight.data import check_labels, check_targets
from lightning_transformer.training.preflight.memory import n_processes

OVERFIT = "Overfit"
PACKAGE = "lightning_transformer"
STORE = f"{PACKAGE}.data.store"


@dataclass
class OpenedData:
    """Data as a run gets them. said: what was logged while they were read.

    n_ranks: processes that read different examples. seconds, n_bytes: from before the data are read
    to the first batch, the latter of memory at the peak above that before; None where unknown.
    refused: why training would not start.
    """

    data: DataModule
    task: Task
    n_ranks: int
    accumulate: int
    said: list[str] = field(default_factory=list)
    seconds: float = 0.0
    n_bytes: int | None = None
    before: int | None = None
    refused: str = ""

    def loaders(self) -> list[StepLoader]:
        """The training loader of each rank."""
        return [self.data.step_loader(rank, self.n_ranks) for rank in range(self.n_ranks)]

    def first(self, n: int) -> Iterator[tuple[int, list[Batch]]]:
        """The number, from 0, and the micro-batches of the first n steps on the first rank."""
        loader = self.data.step_loader(0, self.n_ranks)
        for step in range(n):
            yield step, loader.batches(step)


def open_data(cfg: DictConfig, choices: dict[str, str]) -> OpenedData:
    """Read the data of a configuration and make its first batch; choices: group to option.

    Raises ConfigError in one line for what training refuses, but for what depends on the machine.
    """
    _refuse_overfit(cfg)
    cpu = torch.device("cpu")
    environment.reset_peak_memory()
    before, began = environment.peak_memory(cpu), time.perf_counter()
    data = build(cfg, "data", num_workers=0)
    assert isinstance(data, DataModule)
    with torch.device("meta"):
        planned = build_model(cfg, vocabulary=ByteVocabulary(), labels=["a", "b"], seed=0)
    check_pairing(planned, data, choices)
    with refusing(cfg, "packing"):
        check_packing(planned, data)
    with _heard() as said, refusing(cfg, "data"), explain_reading(data, lambda note: None):
        data.prepare()
        said += data.cleaning_lines()
        check_labels(data)
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=data.vocabulary, labels=data.labels or [], seed=0)
    task, accumulate = model.task, int(cfg.trainer.accumulate)
    task.learn_splits(data.splits)
    collators = {split: task.collator(split) for split in data.splits}
    opened = OpenedData(data, task, _n_ranks(cfg), accumulate, said)
    with refusing(cfg, "data"):
        data.connect(collators, seed=int(cfg.seed), accumulate=accumulate)
        list(opened.first(1))
    opened.seconds, peak = time.perf_counter() - began, environment.peak_memory(cpu)
    opened.before = before
    opened.n_bytes = None if peak is None or before is None else peak - before
    try:
        check_targets(data)
    except ValueError as error:
        opened.refused = str(error)
    return opened


def _refuse_overfit(cfg: DictConfig) -> None:
    for name, entry in cfg.callbacks.items():
        if str(entry.get("_target_")).rpartition(".")[2] == OVERFIT:
            raise ConfigError(
                f"callbacks.{name} repeats the first examples in the place of all others; leave it "
                "out (debug=overfit brings it) to look at the data"
            )


def _n_ranks(cfg: DictConfig) -> int:
    """Processes that read different examples; those that share layers read the same ones."""
    strategy = cfg.trainer.strategy
    degree = strategy.get("tensor_parallel_size") if isinstance(strategy, DictConfig) else None
    return max(1, n_processes(cfg) // (degree if isinstance(degree, int) and degree > 0 else 1))


class _Listener(logging.Handler):
    """Keeps what is said of the data; what is said of a long encoding is shown at once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.name.startswith(STORE) and record.levelno == logging.INFO:
            print(line, file=sys.stderr, flush=True)
        elif line not in self.lines:
            self.lines.append(line)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Within, the messages of this package come into the list."""
    log, listener = logging.getLogger(PACKAGE), _Listener()
    level, propagates = log.level, log.propagate
    log.addHandler(listener)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield listener.lines
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
        log.propagate = propagates
