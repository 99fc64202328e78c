"""One evaluation: the model of a run, the examples of a split, the metrics of its task."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import lightning as L
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, load_run, refusing
from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.run_files import TOKENIZER, RunFiles
from lightning_transformer.config.auto_precision import is_wide
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.loading.data_digest import count, identify
from lightning_transformer.data.mixing.mixed_split import EvaluationMix
from lightning_transformer.data.packing.rows import Joined, Rows
from lightning_transformer.data.split import ExampleList, Record, Split
from lightning_transformer.data.store.prepare import find_corpus
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.record import Evaluation
from lightning_transformer.evaluate.settings import Setting, changed
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.nn.stack import Stack
from lightning_transformer.runs.trusted_targets import check_targets
from lightning_transformer.tasks.metrics.row_losses import with_documents
from lightning_transformer.training import environment
from lightning_transformer.training.lightning_warnings import quiet_lightning
from lightning_transformer.training.preflight.precision import check_precision
from lightning_transformer.training.start.own_answers import stored_preferences
from lightning_transformer.training.trainer import TrainerOptions

T = TypeVar("T")
BLOCK = 1 << 22  # tokens that are looked through at a time


@dataclass(frozen=True)
class Measured:
    """An evaluation, and the loss of each of its examples as `RowLosses` gives it."""

    evaluation: Evaluation
    losses: np.ndarray


class StoredTokenizer:
    """In place of the run's tokenizer: the vocabulary that it has learned, whatever the text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def train(self, texts: Iterable[str]) -> Vocabulary:
        """The stored vocabulary; the texts are not looked at."""
        return self.vocabulary

    def identity(self) -> dict[str, Any]:
        """Nothing by which a corpus is found: see `find_corpus`."""
        return {}


def measure(
    run: Path,
    setting: Setting,
    checkpoint: str = "best",
    trust: Sequence[str] = (),
    callbacks: Sequence[L.Callback] = (),
) -> Measured:
    """Measure a run as its own test does; writes nothing.

    Raises ValueError, in one line, for what does not fit the run.
    """
    files = RunFiles(run)
    stored, vocabulary, labels = files.load()
    _check_trusted(stored, run, trust)
    cfg = changed(stored, setting)
    data = build(cfg, "data", tokenizer=StoredTokenizer(vocabulary))
    assert isinstance(data, DataModule)
    model = load_run(run, checkpoint, trust)
    _check_fits(model, data, run)
    with refusing(cfg, "data"):
        records = _read(model, data, setting, files, vocabulary, labels)
    _connect(model, data, files.load_guess(), seed=int(stored.seed))
    found = store.NAMED[checkpoint](files.checkpoints)
    assert found is not None, "load_run has read it"
    began = time.perf_counter()
    with quiet_lightning(), _enough_memory(data):
        trainer = _trainer(cfg, setting.split, run, callbacks)
        trainer.test(
            model, datamodule=data, ckpt_path=found.state, verbose=False, weights_only=True
        )
    assert model.test_rows is not None
    split = data.splits["test"]
    documents = getattr(split, "documents", None)  # a plug-in may not tell
    rows = model.test_rows.compute()
    losses = with_documents(rows, documents)
    identity = identify(str(data.name), {setting.split: records}, split.n_tokens)
    values = _values(trainer, data, rows)
    floor = {name: value for name, value in data.floor().items() if name in values}
    evaluation = Evaluation(
        run=str(run),
        checkpoint=checkpoint,
        step=found.step,
        split=setting.split,
        overrides=list(setting.overrides),
        metrics=_of_split(setting.split, values),
        baseline=_of_split(setting.split, model.baseline.values.get("test", {})),
        floor=_of_split(setting.split, floor),
        signatures=_of_split(setting.split, model.task.signatures()),
        n_documents=count(records),
        n_examples=_n_measured(split, data, trainer),
        n_left_out=len(split) - _n_measured(split, data, trainer),
        n_targets=int(losses["count"].sum()),
        n_unknown=_n_unknown(split, vocabulary),
        data=asdict(identity),
        precision=str(trainer.precision),
        device=environment.device_name(trainer.strategy.root_device),
        seconds=time.perf_counter() - began,
        versions=environment.versions(),
    )
    return Measured(evaluation, losses)


def _connect(model: Transformer, data: DataModule, guess: np.ndarray | None, seed: int) -> None:
    """Let model and data know of each other. guess: of the run, which is the baseline."""
    # A source that generates answers keeps its keys and values up to here.
    model.max_len = max(model.max_len, data.seq_len + model.task.n_extra_tokens)
    model.task.learn_splits(data.splits)
    if guess is not None:
        model.baseline.row = torch.from_numpy(guess)
    # One loader serves all splits: what is tested is the split that was asked for.
    data.connect({"test": model.task.collator("test")}, seed=seed, accumulate=1)


def _of_split(split: str, values: Mapping[str, T]) -> dict[str, T]:
    """Values of a test by the names of the split that was tested."""
    return {f"{split}/{name}": value for name, value in values.items()}


def _values(trainer: L.Trainer, data: DataModule, rows: np.ndarray) -> dict[str, float]:
    """The metrics of a test by name, and the loss of each part of the data. rows: `RowLosses`."""
    values = {k.removeprefix("test/"): float(v) for k, v in trainer.callback_metrics.items()}
    of_parts = data.losses_by_part("test", rows).items()
    return values | {f"{name}/loss": loss for name, loss in of_parts}


@contextmanager
def _enough_memory(data: DataModule) -> Iterator[None]:
    """Within, a device that is out of memory is a ValueError of one line."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        size = data.eval_batch_size
        fewer = f"data.eval_batch_size={size // 2}" if size > 1 else "a smaller data.seq_len"
        raise ValueError(f"out of memory at data.eval_batch_size={size}; use {fewer}") from error


def _check_trusted(stored: DictConfig, run: Path, trust: Sequence[str]) -> None:
    """Refuse data or a trainer of foreign code; `load_run` does the same for the model."""
    content = OmegaConf.to_container(stored, resolve=False)
    assert isinstance(content, dict)
    for group in ("data", "trainer"):
        if not isinstance(content.get(group), dict):
            raise ValueError(f"{run}: its config.yaml has no {group}")
        try:
            check_targets(content[group], group, trust)
        except ValueError as error:
            raise ValueError(f"{run}: {error}") from None


def _check_fits(model: Transformer, data: DataModule, run: Path) -> None:
    """Refuse data of another kind, and rows longer than a table of positions."""
    first = max(m.memory_tokens.n_positions for m in model.modules() if isinstance(m, Stack))
    if data.example not in (model.task.example, model.task.made_from):
        raise ConfigError(
            f"data={data.name} gives {data.example.__name__} examples, but the task of {run} reads "
            f"{model.task.example.__name__}; choose other data"
        )
    for module in model.modules():
        if isinstance(module, Learned):
            limit = module.table.num_embeddings - model.task.n_extra_tokens - first
            if data.seq_len > limit:
                raise ConfigError(
                    f"data.seq_len={data.seq_len}: the learned positions of {run} end at {limit}; "
                    f"use data.seq_len={limit} or less"
                )


def _check_same_questions(setting: Setting, data: DataModule) -> None:
    """Refuse other questions than the run's own, whose answers are drawn by the model of its start.

    That is gone after the run.
    """
    allowed = "data.eval_batch_size="
    other = next((t for t in setting.overrides if t.startswith("data") and allowed not in t), None)
    if other is not None:
        raise ConfigError(
            f"{other}: pairs out of data={data.name} are of answers that the model gave at the "
            "start of its run, which are kept for its own questions alone; leave it out, or use "
            "data=preferences data.path=FILE"
        )


def _read(
    model: Transformer,
    data: DataModule,
    setting: Setting,
    files: RunFiles,
    vocabulary: Vocabulary,
    labels: Sequence[str],
) -> Iterable[Record]:
    """Read a split; where the run has made preferences out of its questions, those."""
    records = _records(data, setting.split, files, vocabulary, labels)
    if model.task.made_from is data.example:
        _check_same_questions(setting, data)
        data.splits = {"test": stored_preferences(files.folder, data, setting.split)}
    return records


def _records(
    data: DataModule, split: str, files: RunFiles, vocabulary: Vocabulary, labels: Sequence[str]
) -> Iterable[Record]:
    """Read one split as it is evaluated, with the vocabulary and the labels of the run.

    What a training on the same data has left in the cache is taken from there.
    """
    found = data.read_cleaned()
    if split not in found:
        there = ", ".join(name for name in ("test", "val", "train") if name in found)
        raise ValueError(f"split={split}: the data have none; there is {there}")
    records: Iterable[Record] = found[split]
    if next(iter(records), None) is None:
        raise ValueError(f"split={split} is empty (0 examples in {data.name}); choose other data")
    data.vocabulary, data.labels = vocabulary, list(labels)
    part = find_corpus(data, files.folder / TOKENIZER).get(split) if data.is_large() else None
    if isinstance(part, ExampleList) and split != "train":
        data.splits = {"test": part}
        return records
    # Encoded as for a test, also the text of training: in order, each token once.
    name = "test" if split == "train" else split
    if isinstance(part, Joined):
        data.splits = {"test": data.encode(name, part)}
        return records
    listed = list(records)
    data.splits = {"test": data.encode(name, listed)}
    return listed


def _trainer(cfg: DictConfig, split: str, run: Path, callbacks: Sequence[L.Callback]) -> L.Trainer:
    limit = None if split == "train" else cfg.trainer.get(f"limit_{split}_batches")
    cfg.trainer.limit_test_batches = limit
    options = build(cfg, "trainer")
    assert isinstance(options, TrainerOptions)
    with refusing(cfg, "trainer"):
        check_precision(options.precision, options.accelerator, shards=False)
        return options.to_lightning(
            folder=run, logger=[], callbacks=list(callbacks), wide=is_wide(cfg)
        )


def _n_measured(split: Split, data: DataModule, trainer: L.Trainer) -> int:
    """Rows within the limit, which counts batches."""
    limit = trainer.limit_test_batches  # Lightning keeps 1.0 for all
    most = limit * data.eval_batch_size if isinstance(limit, int) else len(split)
    return min(len(split), most)


def _n_unknown(split: Split, vocabulary: Vocabulary) -> int:
    """Tokens of a split that stand for what the vocabulary lacks."""
    if isinstance(split, EvaluationMix):
        return sum(_n_unknown(part, vocabulary) for part in split.parts.splits)
    if isinstance(split, Rows):
        # In blocks: tokens may be mapped files, of bytes that are no array of their own.
        starts = range(0, len(split.tokens), BLOCK)
        blocks = (split.tokens[start : start + BLOCK] for start in starts)
        return sum(int((block == vocabulary.unk_id).sum()) for block in blocks)
    n = 0
    for index in range(len(split)):
        example: Any = split.get(index, 0)
        rows = [getattr(example, name, None) for name in ("ids", "source", "target")]
        n += sum(int((row == vocabulary.unk_id).sum()) for row in rows if row is not None)
    return n
