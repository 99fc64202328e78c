"""Which package a snippet of source comes from: classification without a download."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.holdout import position
from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.nn import checks

log = logging.getLogger(__name__)

PACKAGES = (
    "asyncio",
    "ctypes",
    "email",
    "json",
    "multiprocessing",
    "tkinter",
    "unittest",
    "xml",
)
HELD_OUT = 0.1
_IMPORTS = re.compile(
    r"^[ \t]*(?:from[^\n]*import[ \t]*\([^)]*\)[^\n]*|(?:from|import)\b[^\n]*)\n?", re.MULTILINE
)


def disguise(source: str, package: str) -> str:
    """Remove what would reveal the package: import lines, and its name as a separate word."""
    return re.sub(rf"\b{package}\b", "_", _IMPORTS.sub("", source), flags=re.IGNORECASE)


def snippets(source: str, n_bytes: int) -> list[str]:
    """Cut a source into snippets of n_bytes bytes; each starts at the first line after the last.

    A snippet that ends within a character loses that character; the short rest is left out.
    """
    content = source.encode()
    found, start = [], 0
    while start + n_bytes <= len(content):
        stop = start + n_bytes
        found.append(content[start:stop].decode(errors="ignore"))
        line = content.find(b"\n", stop - 1)
        start = len(content) if line == -1 else line + 1
    return found


def hold_out(files: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
    """Split the files of a package: each file goes to test, val or train.

    In the order of the hash of their names, but with files of more than a quarter of the snippets
    last, files go to test until it has a tenth of all snippets, then to val likewise, the rest to
    train. The last file always goes to train, the last but one never to test.
    """
    total = sum(map(len, files.values()))
    order = sorted(files, key=lambda name: (4 * len(files[name]) > total, position(name)))
    chosen: dict[str, list[str]] = {"train": [order[-1]], "val": [], "test": []}
    size = {"test": 0, "val": 0}
    for name in order[:-1]:
        wanting = [s for s in ("test", "val") if HELD_OUT * total > size[s]]
        split = wanting[0] if wanting else "train"
        if name == order[-2] and not chosen["val"]:
            split = "val"
        chosen[split].append(name)
        if wanting:
            size[split] += len(files[name])
    return {
        split: [record for name in sorted(names) for record in files[name]]
        for split, names in chosen.items()
    }


def spread(records: Sequence[Record], n: int) -> list[Record]:
    """Return n records at equal distances, or all if there are fewer."""
    if len(records) <= n:
        return list(records)
    return [records[i * len(records) // n] for i in range(n)]


@dataclass(kw_only=True, eq=False)
class Package(DataModule):
    """Snippets of the standard library's source, labelled with the package they come from.

    Eight packages; those that are absent are skipped, with a line in the log. A snippet is seq_len
    bytes from the start of a line, after import lines are dropped and the package's own name is
    replaced by "_"; a text that occurs again is used once. Whole files are held out, chosen by the
    hash of their names: a tenth of each package for test and for val, somewhat more of a package
    of few files.

    max_per_class: most training snippets of a package; val and test have a quarter of it each.
    seq_len: bytes of a snippet, and most tokens.
    Raises ValueError when fewer than two packages are there, or seq_len exceeds all files.
    """

    name = "package"
    example = Labelled

    bucket_steps: int = 128
    max_per_class: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("data.max_per_class", self.max_per_class, 4, 500)

    def _files(self) -> dict[str, dict[str, list[Record]]]:
        """Return the snippets of each file of each package that has at least three files."""
        found: dict[str, dict[str, list[Record]]] = {package: {} for package in PACKAGES}
        seen: set[str] = set()
        for file in _stdlib.source_files():
            package = file.name.split("/")[0]
            source = _stdlib.read_source(file) if package in found else None
            if source:
                cut = snippets(disguise(source, package), self.seq_len)
                cut = [text for text in dict.fromkeys(cut) if text not in seen]
                seen.update(cut)
                if cut:
                    found[package][file.name] = [
                        Record((text,), package, file.name) for text in cut
                    ]
        absent = [package for package, files in found.items() if len(files) < 3]
        if absent:
            log.info("package: no three files of %s found, left out", ", ".join(absent))
        return {package: files for package, files in found.items() if package not in absent}

    def read(self) -> dict[str, list[Record]]:
        """Return the snippets of each split by package and file, and set `labels`."""
        files = self._files()
        if len(files) < 2:
            raise ValueError(
                f"fewer than two packages of the standard library have three files of "
                f"data.seq_len={self.seq_len} bytes; lower it, for example to 128, "
                "or use data=labelled"
            )
        self.labels = list(files)
        records: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
        for named in files.values():
            for split, found in hold_out(named).items():
                most = self.max_per_class if split == "train" else self.max_per_class // 4
                records[split] += spread(found, most)
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.labelled(split, records, self.vocabulary, self.labels, self.seq_len)
