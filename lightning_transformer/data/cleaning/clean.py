"""Documents through the stages of cleaning, one at a time, and what each stage did."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from lightning_transformer.data.cleaning.base import Dropped, Stages
from lightning_transformer.data.records import Records
from lightning_transformer.data.split import Record

log = logging.getLogger(__name__)
ORDER = ("test", "val", "train")
"""A document that is in two splits goes from the later one."""
LARGEST = 64_000_000
"""Bytes of a document; stages look at whole documents, which are in memory then."""
EVERY = 10.0  # seconds between two lines on how far it is

Report = list[dict[str, Any]]
"""Of each stage, in order: its name, counts per split, and what else it found."""
Keep = Callable[[str, Iterator[Record]], Iterable[Record]]


class Cleaned(NamedTuple):
    """Records that are left of each split, and the report of the stages."""

    records: Mapping[str, Iterable[Record]]
    report: Report


class Counts:
    """What one stage did to the documents of one split."""

    def __init__(self) -> None:
        self.documents_in = self.documents_out = self.documents_changed = 0
        self.characters_in = self.characters_out = 0
        self.dropped: Counter[str] = Counter()

    def add(self, n_before: int, n_after: int, changed: bool) -> None:
        self.documents_in += 1
        self.characters_in += n_before
        self.documents_out += 1
        self.characters_out += n_after
        self.documents_changed += changed

    def drop(self, n_before: int, rule: str) -> None:
        self.documents_in += 1
        self.characters_in += n_before
        self.dropped[rule] += 1

    def entry(self) -> dict[str, Any]:
        return {**vars(self), "dropped": dict(sorted(self.dropped.items()))}


def clean(
    stages: Stages,
    records: Mapping[str, Iterable[Record]],
    keep: Keep,
    name: str,
    *,
    until: str = "train",
) -> Cleaned:
    """Send the records of all splits through the stages; without stages they stay as they are.

    keep(split, records) goes through what is left of a split, once, and returns it so that it can
    be gone through again. name: of the source. until: the last split, in `ORDER`, that is wanted.
    Raises ValueError where a stage leaves nothing of a split, and for a document too long for it.
    """
    if not stages:
        return Cleaned(records, [])
    for _, stage in stages:
        stage.begin()
    splits = [split for split in ORDER[: ORDER.index(until) + 1] if split in records]
    counts = {stage: {split: Counts() for split in splits} for stage, _ in stages}
    left: dict[str, Iterable[Record]] = {}
    for split in splits:
        of_split = {stage: by_split[split] for stage, by_split in counts.items()}
        left[split] = keep(split, _passed(stages, split, records[split], of_split, name))
        _check_left(split, of_split)
    if until != "train":
        return Cleaned(left, [])
    report = [
        {
            "stage": stage_name,
            "splits": {split: of.entry() for split, of in counts[stage_name].items()},
            "found": stage.found(),
        }
        for stage_name, stage in stages
    ]
    return Cleaned({split: left[split] for split in records}, report)


def clean_when_read(
    stages: Stages, records: Mapping[str, Iterable[Record]], name: str
) -> Mapping[str, Iterable[Record]]:
    """The records of each split that stages leave, in memory once the split is gone through.

    The splits before it are cleaned then, too, for what is kept of it depends on them.
    """
    if not stages:
        return records
    left: dict[str, Iterable[Record]] = {}

    def of(split: str) -> Iterable[Record]:
        if split not in left:
            cleaned = clean(stages, records, lambda split, items: list(items), name, until=split)
            left.update(cleaned.records)
        return left[split]

    return {split: Records(partial(of, split)) for split in records}


def report_lines(stages: Stages, report: Report) -> list[str]:
    """A line on what each stage did, and what else it found."""
    found = []
    for (name, stage), entry in zip(stages, report, strict=True):
        found += [_counts_line(name, entry["splits"]), *stage.describe(entry["found"])]
    return found


def _passed(
    stages: Stages, split: str, records: Iterable[Record], counts: dict[str, Counts], name: str
) -> Iterator[Record]:
    """The records that all stages let pass."""
    progress = _Progress(f"cleaning {split} split of {name}")
    for record in records:
        texts, dropped = _texts(record), False
        n_before = sum(map(len, texts))
        progress.add(n_before)
        for stage_name, stage in stages:
            cleaned = stage.clean(split, texts)
            if isinstance(cleaned, Dropped):
                counts[stage_name].drop(n_before, cleaned.rule)
                dropped = True
                break
            changed = cleaned is not texts and cleaned != texts
            n_after = sum(map(len, cleaned)) if changed else n_before
            counts[stage_name].add(n_before, n_after, changed)
            texts, n_before = cleaned, n_after
        if not dropped:
            yield Record(texts, record.note, record.document)


def _texts(record: Record) -> tuple[str, ...]:
    """The texts, of a part of a file the whole of it."""
    if record.part is None:
        return record.texts
    if record.part.n_bytes > LARGEST:
        raise ValueError(
            f"cleaning looks at one document at a time, and one from {record.part.path} has "
            f"{record.part.n_bytes / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}; use "
            "data.documents=line, block, or the text that stands between documents"
        )
    return ("".join(record.blocks()),)


def _check_left(split: str, counts: dict[str, Counts]) -> None:
    for stage, of in counts.items():
        if of.documents_in and not of.documents_out:
            rules = ", ".join(f"{rule} {n:,}" for rule, n in of.dropped.most_common())
            raise ValueError(
                f"cleaning.{stage} removes all {of.documents_in:,} documents of the {split} split "
                f"that reach it ({rules}); loosen its options, or leave it out"
            )


def _counts_line(stage: str, splits: Mapping[str, Mapping[str, Any]]) -> str:
    documents = ", ".join(
        f"{split} {of['documents_out']:,} of {of['documents_in']:,}" for split, of in splits.items()
    )
    total: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for of in splits.values():
        total.update({key: n for key, n in of.items() if isinstance(n, int)})
        rules.update(of["dropped"])
    dropped = "; ".join(f"{rule} {n:,}" for rule, n in rules.most_common())
    if not rules and not total["documents_changed"]:
        return f"cleaning {stage}: {total['documents_in']:,} documents, none changed or removed"
    return (
        f"cleaning {stage}: documents {documents}; characters {total['characters_out']:,} of "
        f"{total['characters_in']:,}; changed {total['documents_changed']:,}; "
        f"removed {dropped or 'none'}"
    )


class _Progress:
    """Says every few seconds how much was cleaned."""

    def __init__(self, what: str) -> None:
        self.what, self.n_documents, self.n_characters = what, 0, 0
        self._began = self._said = time.monotonic()

    def add(self, n_characters: int) -> None:
        self.n_documents += 1
        self.n_characters += n_characters
        if self.n_documents % 256 == 0 and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            speed = self.n_characters / (self._said - self._began) / 1e6
            log.info(
                "%s: %d documents, %.1f million characters, %.1f per second",
                self.what, self.n_documents, self.n_characters / 1e6, speed,
            )  # fmt: skip
