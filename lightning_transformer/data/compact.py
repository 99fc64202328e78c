"""Many small examples as a few long arrays: some bytes for each besides its tokens."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lightning_transformer.data.examples import Example, Tokens

FIELD = np.ndarray | int | float | None
PART = 4096  # examples that are joined at a time


class Compact(Sequence[Any]):
    """A sequence of examples of one kind, kept as columns; it takes no memory per object.

    columns: by field. Numbers are an array (n,). Arrays (n_i,) are one array of all of them, and
    under FIELD.ends where each ends (n,): 8 bytes. Token ids that fit are kept as uint16 and read
    as int32. A field without columns is None in all of them. kind: class of the examples.
    """

    def __init__(self, kind: type[Any], columns: dict[str, np.ndarray]) -> None:
        self.kind, self.columns = kind, columns
        fields = kind._fields
        self._n = len(columns.get(f"{fields[0]}.ends", columns[fields[0]]))
        self._read = [self._reader(field) for field in fields]

    def _reader(self, field: str) -> Any:
        if f"{field}.ends" in self.columns:
            return self._array(field)
        return self.columns[field].item if field in self.columns else lambda index: None

    def _array(self, field: str) -> Any:
        values, ends = self.columns[field], self.columns[f"{field}.ends"]
        kind = np.int32 if values.dtype == np.uint16 else values.dtype

        def read(index: int) -> np.ndarray:
            start = int(ends[index - 1]) if index else 0
            return values[start : int(ends[index])].astype(kind)

        return read

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._n))]
        if not -self._n <= index < self._n:
            raise IndexError(index)
        place = int(index) % self._n
        return self.kind(*(read(place) for read in self._read))

    def lengths(self, field: str) -> np.ndarray:
        """Values (n,) that each example has in a field of arrays."""
        return np.diff(self.columns[f"{field}.ends"], prepend=0)

    def arrays(self) -> list[str]:
        """The fields of arrays."""
        return [field for field in self.kind._fields if f"{field}.ends" in self.columns]


def compact(examples: Iterable[Example]) -> Sequence[Any]:
    """Keep examples of one kind as columns, or in a list if a field is no array and no number.

    A field may be None, in all of the examples.
    """
    if isinstance(examples, Compact):
        return examples
    source = iter(examples)
    first = next(source, None)
    is_row = isinstance(first, Tokens)  # which `Rows` cuts out of one array
    if is_row or first is None or not all(isinstance(v, FIELD) for v in first):
        return [] if first is None else [first, *source]
    source = itertools.chain([first], source)
    parts = [_columns(part) for part in in_parts(source)]
    columns = {name: [part[name] for part in parts] for name in parts[0]}
    del parts
    joined = {}
    for name in list(columns):
        joined[name] = np.concatenate(columns.pop(name))  # and the parts of this column go
    for name, values in joined.items():
        if name.endswith(".ends"):
            np.cumsum(values, out=values)  # lengths, so far
    return Compact(type(first), joined)


def _columns(examples: Sequence[Any]) -> dict[str, np.ndarray]:
    """The columns of some examples, with lengths in the place of ends."""
    found: dict[str, np.ndarray] = {}
    for field, values in zip(examples[0]._fields, zip(*examples, strict=True), strict=True):
        if values[0] is None:
            assert all(value is None for value in values), f"{field}: None in all or in none"
        elif isinstance(values[0], np.ndarray):
            found[field] = _narrow(np.concatenate(values))
            found[f"{field}.ends"] = np.array([len(v) for v in values], dtype=np.int64)
        else:
            found[field] = np.array(values)
    return found


def _narrow(values: np.ndarray) -> np.ndarray:
    fits = values.dtype == np.int32 and (
        not len(values) or 0 <= values.min() <= values.max() < 2**16
    )
    return values.astype(np.uint16) if fits else values


def in_parts(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of at most PART items."""
    source = iter(items)
    return iter(lambda: list(itertools.islice(source, PART)), [])
