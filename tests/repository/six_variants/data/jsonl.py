"""Documents of the user in JSON lines, for language models."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.files import read_rows
from lightning_transformer.data.holdout import by_first_text, check_fractions
from lightning_transformer.data.packing.base import Packing
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.base import Tokenizer


class JsonLines(DataModule):
    """One document per line of a .jsonl file; equal ones go to the same split, by their hash.

    A fraction of 0: there is no such split.

    path: file. text_key: key of the document. Fractions are in [0, 1).
    Raises ValueError for malformed files, a missing key and impossible fractions.
    """

    name = "jsonl"
    example = Tokens

    def __init__(
        self,
        *,
        path: str,
        tokenizer: Tokenizer,
        packing: Packing,
        text_key: str = "text",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        seq_len: int = 128,
        batch_size: int = 16,
        eval_batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            seq_len=seq_len,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            tokenizer=tokenizer,
        )
        check_fractions(val_fraction, test_fraction)
        self.path, self.text_key, self.packing = path, text_key, packing
        self.fractions = (val_fraction, test_fraction)

    def read(self) -> dict[str, list[Record]]:
        """Return the documents of each split in the order of the lines."""
        rows = read_rows(self.path, (self.text_key,), key="data.path")
        return by_first_text([Record((text,)) for (text,) in rows if text], *self.fractions)

    def encode(self, split: str, records: Sequence[Record]) -> Rows:
        return encode.documents(split, records, self.vocabulary, self.packing, self.seq_len)
