"""Parallel text of the user: two files whose lines belong together."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.files import check_file, lines
from lightning_transformer.data.holdout import fractions_to_cut
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.split import ExampleList, Record

log = logging.getLogger(__name__)


def _pairs(source: str, target: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of two files. Raises ValueError when they differ in their number."""
    both = [lines(source, key=f"data.{prefix}source"), lines(target, key=f"data.{prefix}target")]
    n = [0, 0]
    for pair in itertools.zip_longest(*both):
        n = [k + (line is not None) for k, line in zip(n, pair, strict=True)]
        if n[0] == n[1]:
            yield pair[0], pair[1]
    if n[0] != n[1]:
        raise ValueError(
            f"parallel files differ in length: {source} has {n[0]} lines, {target} has "
            f"{n[1]}; line n of one must belong to line n of the other"
        )


def read_pairs(source: str, target: str, prefix: str) -> Iterator[Record]:
    """Read two files line by line; pairs with an empty side are dropped and counted in the log.

    prefix: of the settings that named the files, "", "val_" or "test_".
    Raises ValueError when the files differ in their number of lines.
    """
    dropped = 0
    for pair in _pairs(source, target, prefix):
        texts = (pair[0].strip(), pair[1].strip())
        if all(texts):
            yield Record(texts)
        else:
            dropped += 1
    if dropped:
        log.info("%s: %d pairs with an empty line dropped", source, dropped)


@dataclass(kw_only=True, eq=False)
class ParallelText(DataModule):
    """Pairs from two text files, line by line, as for translation.

    Pairs with the same source go to the same split, by its hash. val_source with val_target, and
    test_source with test_target, take the place of the fraction of that split; a fraction of 0
    without them: there is no such split. Both sides are cut to seq_len tokens; how many were
    longer is logged.

    source, target: files. Fractions are in [0, 1). cache_gb: most GB of encoded data that are kept
    in the cache, above 0. seq_len: tokens without special ones.
    Raises ValueError for files that are missing or differ in length, and for half a pair of files.
    """

    name = "parallel"
    example = Pair

    bucket_steps: int = 128
    source: str
    target: str
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    val_source: str | None = None
    val_target: str | None = None
    test_source: str | None = None
    test_target: str | None = None
    cache_gb: float = 100.0
    cleaning: dict | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.held_out = {
            "val": (self.val_source, self.val_target),
            "test": (self.test_source, self.test_target),
        }
        for split, (s, t) in self.held_out.items():
            if bool(s) != bool(t):
                given, missing = ("source", "target") if s else ("target", "source")
                raise ValueError(
                    f"data.{split}_{given}={s or t} needs data.{split}_{missing} as well"
                )
        self.fractions = fractions_to_cut(
            self.val_fraction, self.test_fraction, self.val_source, self.test_source
        )

    def inputs(self) -> list[Path]:
        named = {"data.source": self.source, "data.target": self.target}
        for split, paths in self.held_out.items():
            sides = zip(("source", "target"), paths, strict=True)
            named |= {f"data.{split}_{side}": path for side, path in sides if path}
        return [check_file(path, key) for key, path in named.items()]

    def read(self) -> dict[str, Records]:
        """Return the pairs of each split in the order of the lines."""
        read = partial(read_pairs, self.source, self.target, "")
        records = split_by_hash(read, *self.fractions)
        for split, (source, target) in self.held_out.items():
            if source and target:
                records[split] = Records(partial(read_pairs, source, target, f"{split}_"))
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        pairs = encode.pairs(records, self.vocabulary)
        return encode.example_split(encode.truncate_pairs(split, pairs, self.seq_len))
