"""The records of the parts of a mixture, cleaned, and what is looked for in all of them at once."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from lightning_transformer.data.base import DataModule
from lightning_transformer.data.cache import cached
from lightning_transformer.data.cleaning.base import Stages, identity
from lightning_transformer.data.cleaning.clean import Report, clean
from lightning_transformer.data.loading.data_digest import count, count_duplicates, warn_duplicates
from lightning_transformer.data.records import Records
from lightning_transformer.data.split import Record
from lightning_transformer.data.store import corpus
from lightning_transformer.data.store.inputs import stamp
from lightning_transformer.data.store.prepare import (
    cleaned_on_disk,
    refusing_bad_cache,
    remove_cleaned,
)

SPLITS = ("train", "val", "test")
Parts = Mapping[str, DataModule]
InPart = Callable[[str], AbstractContextManager[None]]
"""Around the reading of a part, by its name."""


@contextmanager
def cleaned_records(part: DataModule) -> Iterator[Mapping[str, Iterable[Record]]]:
    """The cleaned records of a part, of a large one on disk."""
    if not part.is_large():
        yield part.in_memory()
        return
    inputs = part.inputs()
    stamps = [stamp(path) for path in inputs]
    made_of = corpus.ingredients(part, inputs)
    with refusing_bad_cache(corpus.corpora()), cleaned_on_disk(part, made_of, stamps) as found:
        yield found.records


def ingredients(parts: Parts) -> list[dict[str, Any]]:
    """All that the tokens of the parts depend on."""
    return [corpus.ingredients(part, part.inputs()) for part in parts.values()]


def tagged(found: Mapping[str, Mapping[str, Iterable[Record]]]) -> dict[str, Records]:
    """The records of each split of all parts, each with the name of its part."""

    def of(split: str) -> Iterator[Record]:
        for name, splits in found.items():
            for record in splits.get(split, ()):
                yield record._replace(source=name)

    there = [split for split in SPLITS if any(split in part for part in found.values())]
    return {split: Records(partial(of, split)) for split in there}


def look_through(stages: Stages, parts: Parts, in_part: InPart) -> Report:
    """What stages that remove nothing find in the records of all parts together.

    For large files it is kept in the cache.
    """
    if not stages:
        return []

    def records(split: str) -> Iterator[Record]:
        for name, part in parts.items():  # one after the other: none waits while it holds another
            with in_part(name), cleaned_records(part) as found:
                yield from found.get(split, ())

    def look() -> Report:
        there: set[str] = set()
        for name, part in parts.items():
            with in_part(name), cleaned_records(part) as found:
                there |= set(found)
        of_all = {split: Records(partial(records, split)) for split in SPLITS if split in there}
        return clean(stages, of_all, lambda split, items: deque(items, maxlen=0), "mixture").report

    if not _has_large(parts, in_part):
        return look()
    made_of = json.dumps([identity(stages), ingredients(parts)], sort_keys=True, default=str)
    return cached("looked", hashlib.sha256(made_of.encode()).hexdigest()[:32], look)


def warn_of_duplicates(parts: Parts, in_part: InPart) -> None:
    """Say how many examples are in two splits, of one part or of two; nothing for large files."""
    if _has_large(parts, in_part):
        return
    found: dict[str, list[Record]] = {}
    for name, part in parts.items():
        with in_part(name):
            for split, records in part.in_memory().items():
                found.setdefault(split, []).extend(records)
    n_records = {split: count(items) for split, items in found.items()}
    warn_duplicates("mixture", count_duplicates(found), n_records)


def remove_leftovers(parts: Parts) -> None:
    """Remove cleaned texts that were read here, and that no part had to encode any more."""
    for part in parts.values():
        if part.stages and part.is_large():
            remove_cleaned(part)


def _has_large(parts: Parts, in_part: InPart) -> bool:
    for name, part in parts.items():
        with in_part(name):
            if part.is_large():
                return True
    return False
