"""The contract of data sources: what each offers to the training run."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np

from lightning_transformer.data.cleaning.base import Stage, Stages, in_order
from lightning_transformer.data.cleaning.clean import (
    Report,
    clean,
    clean_when_read,
    report_lines,
)
from lightning_transformer.data.examples import (
    Labelled,
    MultiLabelled,
    Pair,
    Preference,
    Rated,
    Tagged,
    Tokens,
)
from lightning_transformer.data.formats.compression import hold_at_least
from lightning_transformer.data.loading.data_digest import (
    DataIdentity,
    count,
    count_duplicates,
    identify,
    warn_duplicates,
)
from lightning_transformer.data.loading.eval_loader import EvaluationLoader
from lightning_transformer.data.loading.sample_digest import samples_sha256
from lightning_transformer.data.loading.skipped_steps import LeftOut
from lightning_transformer.data.loading.train_loader import Collate, StepLoader
from lightning_transformer.data.packing.rows import Joined
from lightning_transformer.data.split import Record, Split
from lightning_transformer.data.store.prepare import open_corpus, read_checked, train_tokenizer
from lightning_transformer.data.tokenizers.base import Tokenizer, Vocabulary
from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.nn import checks

NOTHING: dict[str, Stage] | None = None
STORED_FROM = 8_000_000
"""Bytes of text in files from which on tokens are kept in the cache; less is encoded in seconds."""
FEW = 16  # examples that are looked at together for a target; usually the first has one


@dataclass(kw_only=True, eq=False)
class DataModule(L.LightningDataModule):
    """A source of text, split, encoded and served in optimizer steps.

    A source is a dataclass that adds its own options to those of loading. It sets `name` and
    `example`, and implements `read` and `encode`.
    After `prepare()`: `vocabulary`, `splits` (train and, where there is one, val and test),
    `identity`, `labels` (names of classes or tags by number, [] without), and `cleaned`.

    seq_len: tokens. batch_size: examples per optimizer step over all ranks. eval_batch_size:
    examples per evaluation batch of one rank. num_workers: processes that load, 0 = none.
    bucket_steps: steps among which examples are exchanged so that those of a step are equally
    long, 1 = none; only with sources whose examples differ in length.
    Raises ValueError for values outside their range.
    """

    example: ClassVar[type[Any]]
    # An option, data.bucket_steps, of those sources whose examples differ in length.
    bucket_steps = 128
    # Likewise data.cache_gb, of sources whose files may be large.
    cache_gb = 100.0
    # Likewise data.cleaning, of sources of text; chosen by the group cleaning.
    cleaning = NOTHING

    tokenizer: Tokenizer
    seq_len: int = 128
    batch_size: int = 32
    eval_batch_size: int = 64
    num_workers: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        for key, least, example in (
            ("seq_len", 1, 128),
            ("batch_size", 1, 16),
            ("eval_batch_size", 1, 64),
            ("num_workers", 0, 0),
            ("bucket_steps", 1, 128),
        ):
            checks.at_least(f"data.{key}", getattr(self, key), least, example)
        checks.positive("data.cache_gb", self.cache_gb, 100.0)
        self.stages = self.own_stages()
        self.cleaned: Report = []  # what the stages did
        self._left: dict[str, list[Record]] | None = None
        self.vocabulary: Vocabulary
        self.identity: DataIdentity
        self.labels: list[str] = []
        self.splits: dict[str, Split] = {}
        self.left_out = LeftOut()  # steps of the training data, skipped after loss spikes
        self._collators: Mapping[str, Collate] = {}
        self._seed, self._accumulate, self._repeats = 0, 1, 1

    @abstractmethod
    def read(self) -> Mapping[str, Iterable[Record]]:
        """Return the raw records of each split, in an order that never changes.

        Of each split something that can be gone through several times; it need not be in memory.
        """

    @abstractmethod
    def encode(self, split: str, records: Any) -> Split:
        """Encode the records of a split with `self.vocabulary`.

        Records of plain text may be encoded already, as `Joined`; `encode.documents` takes both.
        """

    def own_stages(self) -> Stages:
        """The stages of cleaning that what `read` gives still has to go through."""
        fixed = "tags stand at characters of the text" if self.example is Tagged else ""
        return in_order(self.cleaning, fixed)

    def inputs(self) -> Sequence[Path]:
        """Return the files of the user that are read; none for data that are made here."""
        return ()

    def is_large(self) -> bool:
        """Whether the data are encoded into the cache: those of large files."""
        kinds = (Tokens, Pair, Labelled, MultiLabelled, Rated, Tagged, Preference)
        if self.example not in kinds:
            return False  # a kind of a plug-in
        inputs = self.inputs()
        return bool(inputs) and hold_at_least(inputs, STORED_FROM)

    def prepare(self) -> None:
        """Read, split, train the tokenizer on the training split only, and encode.

        What is read from large files is encoded into the cache, once. Deterministic; a second call
        does nothing; several processes may call it concurrently.
        Raises ValueError for an empty split, and for whatever the source refuses.
        """
        if self.splits:
            return
        assert self.name is not None, "a source sets its name"
        if self.is_large():
            corpus = open_corpus(self)
            self.identity, self.vocabulary = corpus.identity, corpus.vocabulary
            self.labels, self.cleaned = corpus.labels, corpus.cleaned
            self.splits = {
                split: self.encode(split, part) if isinstance(part, Joined) else part
                for split, part in corpus.splits.items()
            }
            return
        records = self.in_memory()
        n_records = {split: count(items) for split, items in records.items()}
        warn_duplicates(self.name, count_duplicates(records), n_records)
        self.vocabulary = train_tokenizer(self.tokenizer, records)
        splits = {split: self.encode(split, items) for split, items in records.items()}
        self.identity = identify(self.name, records, splits["train"].n_tokens)
        self.splits, self._left = splits, None

    def in_memory(self) -> dict[str, list[Record]]:
        """The records of each split, cleaned, and kept until `prepare` has encoded them.

        Sets `cleaned`. Raises ValueError for an empty split, and for what a stage refuses.
        """
        if self._left is None:
            assert self.name is not None, "a source sets its name"
            raw = read_checked(self)
            left, self.cleaned = clean(
                self.stages, raw, lambda split, items: list(items), self.name
            )
            self._left = {split: list(items) for split, items in left.items()}
        return self._left

    def read_cleaned(self) -> Mapping[str, Iterable[Record]]:
        """What `read` gives, through the stages of cleaning, which work once a split is used."""
        assert self.name is not None, "a source sets its name"
        return clean_when_read(self.stages, self.read(), self.name)

    def cleaning_lines(self) -> list[str]:
        """A line on what each stage of cleaning did; none without stages."""
        return report_lines(self.stages, self.cleaned)

    def floor(self) -> dict[str, float]:
        """Metric names to the best value that any model can reach, where that is known."""
        return {}

    def plan(self, n_steps: int) -> dict[str, dict[str, Any]]:
        """What a run of so many steps takes of each part of the data; {} where there is one.

        Raises ValueError for more steps than the data allow.
        """
        return {}

    def seen(self, n_steps: int) -> dict[str, dict[str, Any]]:
        """What a run has seen of each part in its first n_steps, for result.json; likewise."""
        return {}

    def losses_by_part(self, split: str, rows: np.ndarray) -> dict[str, float]:
        """Mean loss of a target of each part; likewise. rows: what `RowLosses` gives."""
        return {}

    def spread(self, split: str, n: int) -> list[Any]:
        """Return n examples spread evenly over a split (fewer if it is smaller)."""
        chosen = self.splits[split]
        n = min(n, len(chosen))
        return [chosen.get((2 * i + 1) * len(chosen) // (2 * n), 0) for i in range(n)]

    def connect(
        self, collators: Mapping[str, Collate], seed: int, accumulate: int, repeats: int = 1
    ) -> None:
        """Set, before fitting, how examples become batches in each split.

        seed orders the examples, in [0, 2**63). accumulate: micro-batches per optimizer step.
        repeats: steps in a row that get the same examples.
        """
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed={seed} must be in [0, 2**63), for example 1")
        self._collators, self._seed, self._accumulate = collators, seed, accumulate
        self._repeats = repeats

    def _ranks(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else data_ranks(trainer)

    def _pin_memory(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Move a batch; Lightning would look through it for nested collections at each step."""
        return batch.to(device)

    def train_dataloader(self) -> StepLoader:
        return self.step_loader(*self._ranks())

    def step_loader(self, rank: int, world_size: int) -> StepLoader:
        """Return the training loader of one of world_size ranks."""
        return StepLoader(
            self.splits["train"],
            self._collators["train"],
            seed=self._seed,
            batch_size=self.batch_size,
            accumulate=self._accumulate,
            rank=rank,
            world_size=world_size,
            num_workers=self.num_workers,
            pin_memory=self._pin_memory(),
            left_out=self.left_out,
            bucket_steps=self.bucket_steps,
            data_sha256=self.identity.sha256,
            repeats=self._repeats,
        )

    def samples_sha256(self, n_steps: int) -> str:
        """Return a digest of the training examples of the first n_steps; see `sample_digest`."""
        return samples_sha256(self.train_dataloader(), n_steps, self.identity.sha256)

    def has_targets(self, split: str, n_examples: int) -> bool:
        """Whether one of the first n_examples of a split has a target, as it is first seen."""
        limit = -(-n_examples // FEW)
        loader = EvaluationLoader(
            self.splits[split], self._collators[split], seed=self._seed, batch_size=FEW, limit=limit
        )
        return any(bool(batch.n_targets) for batch in loader)

    def _limit(self, split: str) -> int | None:
        """trainer.limit_val_batches or limit_test_batches; Lightning keeps 1.0 for all."""
        limit = (
            None if self.trainer is None else getattr(self.trainer, f"limit_{split}_batches", None)
        )
        return limit if isinstance(limit, int) else None

    def _evaluation(self, split: str) -> EvaluationLoader | list[Any]:
        if split not in self.splits:
            return []
        rank, world_size = self._ranks()
        return EvaluationLoader(
            self.splits[split],
            self._collators[split],
            seed=self._seed,
            batch_size=self.eval_batch_size,
            rank=rank,
            world_size=world_size,
            limit=self._limit(split),
            num_workers=self.num_workers,
            pin_memory=self._pin_memory(),
        )

    def val_dataloader(self) -> EvaluationLoader | list[Any]:
        return self._evaluation("val")

    def test_dataloader(self) -> EvaluationLoader | list[Any]:
        return self._evaluation("test")
