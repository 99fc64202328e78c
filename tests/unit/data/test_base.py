"""The contract of data sources, on a tiny source of its own."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import NamedTuple

import lightning as L
import numpy as np
import pytest
import torch

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.encode import labelled
from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters
from tests.helpers.examples import first_examples


class Batch(NamedTuple):
    numbers: torch.Tensor
    n_targets: torch.Tensor
    step_targets: torch.Tensor | None = None

    def to(self, device):
        return self


def collate(examples, seeds):
    numbers = torch.tensor([e.label for e in examples])
    return Batch(numbers, torch.tensor(len(examples)))


class Tiny(DataModule):
    """One text per label, 'a' repeated; the held-out ones are given by the test."""

    name = "tiny"
    example = Labelled

    def __init__(self, records=None, *, tokenizer=None, **options):
        defaults = {"seq_len": 8, "batch_size": 4, "eval_batch_size": 3, "num_workers": 0}
        super().__init__(tokenizer=tokenizer or Bytes(), **{**defaults, **options})
        self.records = records or {
            "train": [Record(("a" * (i + 1),), str(i)) for i in range(10)],
            "val": [Record((f"b{i}",), str(i)) for i in range(5)],
        }
        self.n_reads = 0

    def read(self):
        self.n_reads += 1
        self.labels = sorted({record.note for record in self.records["train"]})
        return self.records

    def encode(self, split, records):
        return labelled(split, records, self.vocabulary, self.labels, self.seq_len)


@pytest.fixture
def tiny():
    data = Tiny()
    data.prepare()
    return data


def test_prepare_gives_splits_vocabulary_and_identity_once(tiny):
    assert {split: len(s) for split, s in tiny.splits.items()} == {"train": 10, "val": 5}
    assert tiny.splits["train"].n_tokens == sum(min(i, 8) for i in range(1, 11))
    assert tiny.identity.name == "tiny"
    assert tiny.identity.n_tokens == tiny.splits["train"].n_tokens
    assert tiny.identity.bytes == 55 + 10
    splits = tiny.splits
    tiny.prepare()
    assert tiny.n_reads == 1
    assert tiny.splits is splits


def test_the_tokenizer_sees_the_training_split_alone():
    data = Tiny(tokenizer=Characters())
    data.prepare()
    assert data.vocabulary.characters == "a"
    assert data.vocabulary.unk_id in first_examples(data, "val", 1)[0].ids


def test_raw_returns_the_first_examples(tiny):
    assert [e.label for e in first_examples(tiny, "val", 2)] == [0, 1]
    assert len(first_examples(tiny, "val", 100)) == 5


def test_loaders_without_a_trainer(tiny):
    tiny.connect({"train": collate, "val": collate}, seed=3, accumulate=2)
    loader = tiny.train_dataloader()
    assert isinstance(loader, StepLoader)
    assert next(iter(loader)).numbers.tolist() == loader.sample_ids(0)[:2].tolist()
    batches = [batch.numbers.tolist() for batch in tiny.val_dataloader()]
    assert batches == [[0, 1, 2], [3, 4]]
    assert tiny.test_dataloader() == []


def test_loaders_follow_the_rank_of_the_trainer(tiny):
    tiny.connect({"train": collate, "val": collate}, seed=3, accumulate=1)
    device = SimpleNamespace(root_device=torch.device("cpu"))
    whole = tiny.train_dataloader().sample_ids(0).tolist()
    seen, evaluated = [], []
    for rank in range(2):
        tiny.trainer = SimpleNamespace(world_size=2, global_rank=rank, strategy=device)
        seen += next(iter(tiny.train_dataloader())).numbers.tolist()
        evaluated += [n for batch in tiny.val_dataloader() for n in batch.numbers.tolist()]
    assert seen == whole
    assert sorted(evaluated) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("limit", "numbers"), [(1.0, [0, 1, 2, 3, 4]), (1, [0, 1, 2])])
def test_limits_of_the_trainer_count_examples_of_all_ranks(tiny, limit, numbers):
    """Lightning's own word for all is 1.0; a batch has 3 examples."""
    tiny.connect({"train": collate, "val": collate}, seed=3, accumulate=1)
    device = SimpleNamespace(root_device=torch.device("cpu"))
    for world_size in (1, 2):
        evaluated = []
        for rank in range(world_size):
            tiny.trainer = SimpleNamespace(
                world_size=world_size, global_rank=rank, strategy=device, limit_val_batches=limit
            )
            evaluated += [n for batch in tiny.val_dataloader() for n in batch.numbers.tolist()]
        assert sorted(evaluated) == numbers


def test_a_split_is_searched_for_a_target(tiny):
    """Of 10 training examples the last one alone has a target."""

    def last_alone(examples, seeds):
        batch = collate(examples, seeds)
        return batch._replace(n_targets=(batch.numbers == 9).sum())

    tiny.connect({"train": last_alone, "val": last_alone}, seed=3, accumulate=1)
    assert tiny.has_targets("train", 10)
    assert not tiny.has_targets("val", 5)


def test_seeds_give_other_orders(tiny):
    orders = []
    for seed in (1, 2, 1):
        tiny.connect({"train": collate}, seed=seed, accumulate=1)
        orders.append([tiny.train_dataloader().sample_ids(s).tolist() for s in range(5)])
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_impossible_seeds_are_refused(tiny, seed):
    with pytest.raises(ValueError, match=r"must be in \[0, 2\*\*63\)"):
        tiny.connect({}, seed=seed, accumulate=1)


@pytest.mark.parametrize("key", ["seq_len", "batch_size", "eval_batch_size"])
def test_sizes_below_one_are_refused(key):
    with pytest.raises(ValueError, match=f"data.{key}=0 must be at least 1, for example "):
        Tiny(**{key: 0})


def test_negative_workers_are_refused():
    with pytest.raises(ValueError, match=r"data.num_workers=-1 must be at least 0"):
        Tiny(num_workers=-1)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split_is_refused(split):
    records = {"train": [Record(("a",), "0")], "val": [Record(("b",), "0")]} | {split: []}
    with pytest.raises(ValueError, match=rf"data.{split} is empty \(0 examples in tiny\)"):
        Tiny(records).prepare()


def test_test_examples_that_were_trained_on_are_counted(caplog):
    record, other = Record(("same",), "0"), Record(("other",), "0")
    with caplog.at_level(logging.WARNING):
        Tiny({"train": [record], "test": [record, other, record]}).prepare()
    assert "2 of 3 test examples are also in the training split" in caplog.text


def test_equal_texts_of_all_pairs_of_splits_are_counted(caplog):
    a, b, c = (Record((text,), "0") for text in "abc")
    with caplog.at_level(logging.WARNING):
        Tiny({"train": [a], "val": [a, b, c], "test": [c, b, a, c]}).prepare()
    said = [line.split(": ", 1)[1] for line in caplog.messages]
    assert said == [
        "1 of 4 test examples are also in the training split",
        "4 of 4 test examples are also in the validation split",
        "1 of 3 validation examples are also in the training split",
    ]


def test_no_warning_without_duplicates(caplog):
    Tiny().prepare()
    assert "also in the training split" not in caplog.text


def test_split_dtype_is_integer(tiny):
    assert np.issubdtype(first_examples(tiny, "train", 1)[0].ids.dtype, np.integer)


class Counter(L.LightningModule):
    """Counts the examples of each loop."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[int]] = {"train": [], "val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"] += batch.numbers.tolist()
        return self.weight * batch.n_targets / batch.step_targets

    def validation_step(self, batch, batch_idx):
        self.seen["val"] += batch.numbers.tolist()

    def test_step(self, batch, batch_idx):
        self.seen["test"] += batch.numbers.tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("with_val", [True, False])
def test_lightning_runs_all_loops_from_the_data_module(tmp_path, with_val):
    records = dict(Tiny().records, test=[Record(("c",), "3")])
    if not with_val:
        del records["val"]
    data = Tiny(records, batch_size=4)
    data.prepare()
    data.connect(dict.fromkeys(("train", "val", "test"), collate), seed=1, accumulate=2)
    trainer = L.Trainer(
        max_steps=5,
        max_epochs=-1,
        accumulate_grad_batches=2,
        val_check_interval=4,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    model = Counter()
    trainer.fit(model, datamodule=data)
    loader = data.train_dataloader()
    assert model.seen["train"] == [i for s in range(5) for i in loader.sample_ids(s).tolist()]
    assert model.seen["val"] == (list(range(5)) * 2 if with_val else [])
    trainer.test(model, datamodule=data)
    assert model.seen["test"] == [3]
