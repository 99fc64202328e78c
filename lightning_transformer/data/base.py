"""The contract of data sources: what each offers to the training run."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import lightning as L

from lightning_transformer.data.loading.data_digest import DataIdentity, identify, warn_duplicates
from lightning_transformer.data.loading.eval_loader import EvaluationLoader
from lightning_transformer.data.loading.sample_digest import samples_sha256
from lightning_transformer.data.loading.skipped_steps import LeftOut
from lightning_transformer.data.loading.train_loader import Collate, StepLoader
from lightning_transformer.data.split import Record, Split
from lightning_transformer.data.tokenizers.base import Tokenizer, Vocabulary
from lightning_transformer.distributed.ranks import data_ranks
from lightning_transformer.nn import checks

FEW = 16  # examples that are looked at together for a target; usually the first has one


@dataclass(kw_only=True, eq=False)
class DataModule(L.LightningDataModule):
    """A source of text, split, encoded and served in optimizer steps.

    A source is a dataclass that adds its own options to those of loading. It sets `name` and
    `example`, and implements `read` and `encode`.
    After `prepare()`: `vocabulary`, `splits` (train and, where there is one, val and test),
    `identity`, and `labels` (names of classes or tags by number, [] without).

    seq_len: tokens. batch_size: examples per optimizer step over all ranks. eval_batch_size:
    examples per evaluation batch of one rank. num_workers: processes that load, 0 = none.
    Raises ValueError for values outside their range.
    """

    example: ClassVar[type[Any]]

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
        ):
            checks.at_least(f"data.{key}", getattr(self, key), least, example)
        self.vocabulary: Vocabulary
        self.identity: DataIdentity
        self.labels: list[str] = []
        self.splits: dict[str, Split] = {}
        self.left_out = LeftOut()  # steps of the training data, skipped after loss spikes
        self._collators: Mapping[str, Collate] = {}
        self._seed, self._accumulate = 0, 1

    @abstractmethod
    def read(self) -> dict[str, list[Record]]:
        """Return the raw records of each split, in an order that never changes."""

    @abstractmethod
    def encode(self, split: str, records: Sequence[Record]) -> Split:
        """Encode the records of a split with `self.vocabulary`."""

    def prepare(self) -> None:
        """Read, split, train the tokenizer on the training split only, and encode.

        Deterministic; a second call does nothing; several processes may call it concurrently.
        Raises ValueError for an empty split, and for whatever the source refuses.
        """
        if self.splits:
            return
        assert self.name is not None, "a source sets its name"
        records = self.read()
        for split in records:
            if not records[split]:
                hint = "" if split == "train" else f", or raise data.{split}_fraction"
                raise ValueError(
                    f"data.{split} is empty (0 examples in {self.name}); add data{hint}"
                )
        warn_duplicates(self.name, records)
        training = (text for record in records["train"] for text in record.texts)
        self.vocabulary = self.tokenizer.train(training)
        splits = {split: self.encode(split, items) for split, items in records.items()}
        self.identity = identify(self.name, records, splits["train"].n_tokens)
        self.splits = splits

    def spread(self, split: str, n: int) -> list[Any]:
        """Return n examples spread evenly over a split (fewer if it is smaller)."""
        chosen = self.splits[split]
        n = min(n, len(chosen))
        return [chosen.get((2 * i + 1) * len(chosen) // (2 * n), 0) for i in range(n)]

    def connect(self, collators: Mapping[str, Collate], seed: int, accumulate: int) -> None:
        """Set, before fitting, how examples become batches in each split.

        seed orders the examples, in [0, 2**63). accumulate: micro-batches per optimizer step.
        """
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed={seed} must be in [0, 2**63), for example 1")
        self._collators, self._seed, self._accumulate = collators, seed, accumulate

    def _ranks(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else data_ranks(trainer)

    def _pin_memory(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Move a batch; Lightning would look through it for nested collections at each step."""
        return batch.to(device)

    def train_dataloader(self) -> StepLoader:
        rank, world_size = self._ranks()
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
