"""The role of each name in Python source: tagging with exact labels, without a download."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.holdout import assign, position
from lightning_transformer.data.sources import _name_roles, _stdlib
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.nn import checks

log = logging.getLogger(__name__)
HELD_OUT = 0.1


def windows(boundaries: Sequence[int], seq_len: int) -> Iterator[tuple[int, int]]:
    """Yield (first token, end) of runs of complete lines of at most seq_len tokens.

    boundaries: the token at which each line starts, and the number of tokens. A longer line is
    left out.
    """
    start = boundaries[0]
    for line, end in itertools.pairwise(boundaries):
        if end - start > seq_len:
            if line > start:
                yield start, line
            start = line if end - line <= seq_len else end
    if boundaries[-1] > start:
        yield start, boundaries[-1]


def line_starts(text: str) -> list[int]:
    """Return the number of the character at which each line of a text starts."""
    starts = itertools.accumulate((len(line) + 1 for line in text.split("\n")), initial=0)
    return [start for start in starts if start < len(text)]


def _roles_of(files: Sequence[_stdlib.SourceFile]) -> dict[str, list[list[Any]]]:
    """Return [first character, end, characters of names, their roles as digits] by file."""
    found: dict[str, list[list[Any]]] = {}
    for file in files:
        source = _stdlib.read_source(file)
        tree = _stdlib.parse(source) if source else None
        if source and tree is not None:
            found[file.name] = []
            for start, end, named in _name_roles.roles(source, tree):
                digits = "".join(str(_name_roles.ROLES.index(role)) for _, role in named)
                found[file.name].append([start, end, [place for place, _ in named], digits])
    return found


@dataclass(kw_only=True, eq=False)
class Roles(DataModule):
    """Windows of Python functions, methods and class heads, with the role of each name as tag.

    function, class: the name in a def or class statement. parameter: a name in a signature, and
    every use of it inside that function. call: a name or attribute that is called. attribute: any
    other name after a dot. keyword_argument: the name before = in a call. module: a name that an
    import statement of the file binds to a module. builtin: a name of the module builtins that is
    read. variable: any other name. A name that fits several is a parameter, else a module, else a
    builtin, else a call. No tag: names in strings, comments, import, global and nonlocal
    statements, behind `except ... as`, and in match patterns; keywords are not names.

    The tag sits on the first token of the name. A window is as many complete lines of one function,
    method or head of a class as fit in seq_len tokens. A text that occurs again is used once.
    Files are split 80/10/10 by the hash of their name.

    max_files: most source files that are used, chosen by the hash of their names.
    """

    name = "roles"
    example = Tagged

    bucket_steps: int = 128
    max_files: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.max_files", self.max_files, 20, 200)

    def _files(self) -> list[_stdlib.SourceFile]:
        # Another hash than that of the split, or the chosen files would all be in one split.
        files = _stdlib.source_files()
        chosen = sorted(files, key=lambda file: position(f"chosen {file.name}"))
        return sorted(chosen[: self.max_files])

    def read(self) -> dict[str, list[Record]]:
        """Return the functions, methods and class heads of each split by file, and set `labels`."""
        files = self._files()
        if not files:
            raise ValueError(
                "no sources of the standard library found; use data=conll data.path=<file>"
            )
        found = _stdlib.cached_over("roles", files, _name_roles.__file__, lambda: _roles_of(files))
        records: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
        seen: set[str] = set()
        for file in files:
            if file.name in found:
                source = _stdlib.read_source(file)
                assert source is not None
                split = assign(file.name, HELD_OUT, HELD_OUT)
                for start, end, characters, digits in found[file.name]:
                    text = source[start:end]
                    if text in seen:
                        continue
                    seen.add(text)
                    roles = [_name_roles.ROLES[int(digit)] for digit in digits]
                    note = [list(pair) for pair in zip(characters, roles, strict=True)]
                    records[split].append(Record((text,), note, file.name))
        self.labels = list(_name_roles.ROLES)
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        numbers = {role: number for number, role in enumerate(_name_roles.ROLES)}
        examples, of = [], []
        n_left_out = 0
        for record, document in zip(records, encode.document_numbers(records), strict=True):
            ids, tags, starts = encode.tag_tokens(split, record, self.vocabulary, numbers)
            lines = line_starts(record.texts[0])
            boundaries = [*np.searchsorted(starts, lines).tolist(), len(ids)]
            n_left_out += sum(b - a > self.seq_len for a, b in itertools.pairwise(boundaries))
            for start, end in windows(boundaries, self.seq_len):
                if (tags[start:end] != encode.NO_TAG).any():
                    examples.append(Tagged(ids[start:end], tags[start:end]))
                    of.append(document)
        if n_left_out:
            log.info("%s: %d lines of more than seq_len tokens left out", split, n_left_out)
        if not examples:
            raise ValueError(
                f"{split} split has no line within data.seq_len={self.seq_len} tokens; raise it, "
                "for example to 128"
            )
        return encode.example_split(examples, of)
