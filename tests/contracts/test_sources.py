"""Every data source on disk keeps its contract: the same text for everyone, in splits of its own.

Sources that read the standard library read a part of it here, which takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lightning_transformer.build import build
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.examples import Example, Labelled, Pair, Tagged, Tokens
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


def length(example: Example) -> int:
    return max(map(len, example)) if isinstance(example, Pair) else len(example[0])


@each
def test_lengths_are_those_of_the_examples(name: str, prepared: Prepared) -> None:
    for split in prepared(name).splits.values():
        # Without the last one: the rest of a text fills no row.
        indices = range(0, len(split) - 1, max(1, len(split) // 20))
        found = [length(split.get(index, 0)) for index in indices]
        if split.lengths is None:
            assert set(found) <= {SEQ_LEN + 1}
        else:
            assert len(split.lengths) == len(split)
            assert found == [split.lengths[index] for index in indices]


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
