"""The documentation of the running Python: real English and code without a download."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.holdout import assign
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.split import Record

SHORTEST = 80
"""Docstrings up to this many characters are left out: they mostly restate a name."""


@dataclass(kw_only=True, eq=False)
class PyDocs(DataModule):
    """Python's language reference and the docstrings of its standard library.

    A document is a chapter of the reference, or the docstrings of one source file of more than 80
    characters, joined by blank lines; a docstring that occurs again is used once. A document goes
    to train, val or test (90/5/5 %) by the hash of its name. The text differs between Python
    versions, so results name the digest of the text. Without library sources only the reference is
    used (0.5 instead of 2 MB).
    """

    name = "pydocs"
    example = Tokens

    packing: Packing
    batch_size: int = 16

    def read(self) -> dict[str, list[Record]]:
        """Return the documents of each split, chapters first, then files by name."""
        documents = {f"topics/{name}": text for name, text in _stdlib.topics().items()}
        seen: set[str] = set()
        for name, strings in _stdlib.docstrings().items():
            new = [s for s in dict.fromkeys(strings) if len(s) > SHORTEST and s not in seen]
            seen.update(new)
            if new:
                documents[name] = "\n\n".join(new)
        records: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
        for name, text in documents.items():
            records[assign(name, 0.05, 0.05)].append(Record((text,)))
        return records

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)
