"""Every data source on disk keeps its contract: the same text for everyone, in splits of its own.

Sources that read the standard library read a part of it here, which takes a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.examples import Example, Labelled, Pair, Preference, Tagged, Tokens
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.sources import _stdlib
from tests.conftest import compose_config, options
from tests.helpers.variants import small

SEQ_LEN = 96  # bytes; the shortest sentences of a pair fit
Prepared = Callable[[str], DataModule]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where sources find small files; the cache is there too."""
    path = tmp_path_factory.mktemp("sources")
    files = _stdlib.source_files()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(path / "cache"))
        patch.setattr(_stdlib, "source_files", lambda: files[::10])
        yield path


def made(name: str, folder: Path) -> DataModule:
    """The source over bytes, not yet read."""
    typed = (f"data={name}", "tokenizer=bytes", f"data.seq_len={SEQ_LEN}", "data.batch_size=4")
    source = build(compose_config(*typed, *small("data", name, folder)), "data")
    assert isinstance(source, DataModule)
    return source


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    """Give `prepared(name)`, a source that was read once."""
    found: dict[str, DataModule] = {}

    def of(name: str) -> DataModule:
        if name not in found:
            found[name] = made(name, folder)
            found[name].prepare()
        return found[name]

    return of


each = pytest.mark.parametrize("name", options("data"))


@each
def test_splits_have_examples_and_tokens(name: str, prepared: Prepared) -> None:
    source = prepared(name)
    assert source.name == name
    assert "train" in source.splits
    assert set(source.splits) <= {"train", "val", "test"}
    for split in source.splits.values():
        assert len(split) > 0
        assert split.n_tokens > 0
    assert source.identity.n_tokens == source.splits["train"].n_tokens
    assert source.identity.bytes > 0


@each
def test_no_text_is_in_two_splits(name: str, folder: Path) -> None:
    seen: set[tuple[str, ...]] = set()
    for split, records in made(name, folder).read().items():
        texts = {record.texts for record in records}
        assert not texts & seen, f"{split} has texts of an earlier split"
        seen |= texts


@each
def test_examples_fit_the_model_and_the_vocabulary(name: str, prepared: Prepared) -> None:
    source = prepared(name)
    for split in source.splits:
        for example in source.spread(split, 50):
            assert isinstance(example, source.example)
            rows = example[:2] if isinstance(example, Pair) else example[:1]
            longest = SEQ_LEN + 1 if isinstance(example, Tokens) else SEQ_LEN
            for row in rows:
                assert 0 < len(row) <= longest
                assert np.issubdtype(row.dtype, np.integer)
                assert row.min() >= 0
                assert row.max() < source.vocabulary.size
            if isinstance(example, Labelled | Tagged):
                labels = np.atleast_1d(example[1])
                assert source.labels is not None
                assert set(labels.tolist()) <= {NO_TAG, *range(len(source.labels))}
            if isinstance(example, Tagged):
                assert len(example.tags) == len(example.ids)
            if isinstance(example, Labelled):
                assert example.label != NO_TAG


def length(example: Example) -> int | list[int]:
    if isinstance(example, Preference):
        return len(example.prompt) + max(len(example.chosen), len(example.rejected))
    sides = [len(side) for side in example[:2]] if isinstance(example, Pair) else []
    return sides or len(example[0])


@each
def test_lengths_are_those_of_the_examples(name: str, prepared: Prepared) -> None:
    source = prepared(name)
    for split in source.splits.values():
        # Without the last one: the rest of a text fills no row, in a mixture of each part.
        indices = range(0, len(split) - 1, max(1, len(split) // 20))
        found = [length(split.get(index, 0)) for index in indices]
        if split.lengths is None:
            n_rests = len(getattr(source, "sources", ()))
            assert len([n for n in found if n != SEQ_LEN + 1]) <= n_rests
        else:
            assert len(split.lengths) == len(split)
            assert found == [split.lengths[index].tolist() for index in indices]


@each
def test_it_reads_the_same_again(name: str, prepared: Prepared, folder: Path) -> None:
    first, again = prepared(name), made(name, folder)
    again.prepare()
    assert again.identity == first.identity
    assert again.labels == first.labels
    for split in first.splits:
        for one, other in zip(first.spread(split, 9), again.spread(split, 9), strict=True):
            assert all(map(np.array_equal, one, other))


@each
def test_the_seed_alone_decides_the_order(name: str, prepared: Prepared) -> None:
    source, digests = prepared(name), []
    for seed in (1, 2, 1):
        source.connect({"train": lambda examples, draws: examples}, seed, accumulate=1)
        digests.append(source.samples_sha256(3))
    assert digests[0] == digests[2] != digests[1]


# -- the same samples however a step is cut, and wherever a run goes on ----------------------------

N_STEPS, BATCH = 3, 16  # a step of 16 can be cut into 4 ranks of 4 micro-batches


class Seen(NamedTuple):
    """A micro-batch as it is: each example bit by bit, with the random integer it gets."""

    samples: list[tuple[int, ...]]
    n_targets: torch.Tensor
    step_targets: Any = None


def as_seen(examples: Any, draws: Any) -> Seen:
    bits = [
        tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in example)
        for example in examples
    ]
    samples = [(draw, *own) for draw, own in zip(draws, bits, strict=True)]
    return Seen(samples, torch.tensor(len(samples)))


def steps(source: DataModule, **cut: Any) -> list[list[Any]]:
    """The samples of each of the first steps of a rank."""
    loader = StepLoader(
        source.splits["train"],
        as_seen,
        seed=7,
        batch_size=BATCH,
        bucket_steps=source.bucket_steps,
        **cut,
    )
    return micro_batches(loader, N_STEPS)


def micro_batches(loader: StepLoader, n_steps: int) -> list[list[Any]]:
    batches = iter(loader)
    return [
        [sample for batch in itertools.islice(batches, loader.accumulate) for sample in batch[0]]
        for _ in range(n_steps)
    ]


@each
def test_samples_are_the_same_for_all_ranks_and_micro_batches(
    name: str, prepared: Prepared
) -> None:
    source = prepared(name)
    whole = steps(source)
    for world_size, accumulate in ((1, 4), (2, 1), (2, 4), (4, 1), (4, 4)):
        cut = {"world_size": world_size, "accumulate": accumulate}
        ranks = [steps(source, rank=rank, **cut) for rank in range(world_size)]
        assert [[s for own in step for s in own] for step in zip(*ranks, strict=True)] == whole


@each
def test_samples_are_the_same_from_worker_processes(name: str, prepared: Prepared) -> None:
    source = prepared(name)
    assert steps(source, num_workers=2) == steps(source)


@each
@pytest.mark.parametrize("accumulate", [1, 4])
def test_samples_go_on_where_a_run_was_stopped(
    name: str, accumulate: int, prepared: Prepared
) -> None:
    """After every micro-batch, also within a step."""
    source = prepared(name)

    def loader() -> StepLoader:
        given = {"seed": 7, "batch_size": BATCH, "accumulate": accumulate}
        return StepLoader(
            source.splits["train"], as_seen, bucket_steps=source.bucket_steps, **given
        )

    n = N_STEPS * accumulate
    whole = [batch.samples for batch in itertools.islice(loader(), n)]
    for done in range(n):
        first, second = loader(), loader()
        for _ in itertools.islice(first, done):
            pass
        second.load_state_dict(first.state_dict())
        assert [batch.samples for batch in itertools.islice(second, n - done)] == whole[done:]
