"""Parallel text of the user: two files whose lines belong together."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.files import read_text
from lightning_transformer.data.holdout import by_first_text, fractions_to_cut
from lightning_transformer.data.split import ExampleList, Record

log = logging.getLogger(__name__)


def _lines(path: str, key: str) -> list[str]:
    text = read_text(path, key=key)
    return text.removesuffix("\n").split("\n") if text else []


def read_pairs(source: str, target: str, prefix: str) -> list[Record]:
    """Read two files line by line; pairs with an empty side are dropped and counted in the log.

    prefix: of the settings that named the files, "", "val_" or "test_".
    Raises ValueError when the files differ in their number of lines.
    """
    sources = _lines(source, f"data.{prefix}source")
    targets = _lines(target, f"data.{prefix}target")
    if len(sources) != len(targets):
        raise ValueError(
            f"parallel files differ in length: {source} has {len(sources)} lines, {target} has "
            f"{len(targets)}; line n of one must belong to line n of the other"
        )
    pairs = [Record((s.strip(), t.strip())) for s, t in zip(sources, targets, strict=True)]
    kept = [pair for pair in pairs if all(pair.texts)]
    if len(kept) < len(pairs):
        log.info("%s: %d pairs with an empty line dropped", source, len(pairs) - len(kept))
    return kept


@dataclass(kw_only=True, eq=False)
class ParallelText(DataModule):
    """Pairs from two text files, line by line, as for translation.

    Pairs with the same source go to the same split, by its hash. val_source with val_target, and
    test_source with test_target, take the place of the fraction of that split; a fraction of 0
    without them: there is no such split. Both sides are cut to seq_len tokens; how many were
    longer is logged.

    source, target: files. Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for files that are missing or differ in length, and for half a pair of files.
    """

    name = "parallel"
    example = Pair

    source: str
    target: str
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    val_source: str | None = None
    val_target: str | None = None
    test_source: str | None = None
    test_target: str | None = None

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

    def read(self) -> dict[str, list[Record]]:
        """Return the pairs of each split in the order of the lines."""
        pairs = read_pairs(self.source, self.target, "")
        records = by_first_text(pairs, *self.fractions)
        for split, (source, target) in self.held_out.items():
            if source and target:
                records[split] = read_pairs(source, target, f"{split}_")
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        pairs = encode.pairs(records, self.vocabulary)
        return encode.pair_split(encode.truncate_pairs(split, pairs, self.seq_len))
