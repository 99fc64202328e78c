"""Records that are read anew each time, so that they need not be in memory."""

from collections.abc import Callable, Iterable, Iterator

from lightning_transformer.data.holdout import assign, split_names
from lightning_transformer.data.split import Record


class Records(Iterable[Record]):
    """The records that a function reads; each iteration calls it again and gives the same."""

    def __init__(self, read: Callable[[], Iterable[Record]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Record]:
        return iter(self._read())


def split_by_hash(
    read: Callable[[], Iterable[Record]], val_fraction: float, test_fraction: float
) -> dict[str, Records]:
    """Split records by the hash of their first text, so that equal texts stay together.

    Each split reads all records and keeps its own.
    """
    fractions = (val_fraction, test_fraction)

    def part(split: str) -> Records:
        return Records(lambda: (r for r in read() if assign(r.texts[0], *fractions) == split))

    return {split: part(split) for split in split_names(*fractions)}
