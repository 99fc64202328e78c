"""What identifies the text of a run, so that only runs on the same text are compared."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_transformer.data.split import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataIdentity:
    """Name of the source, SHA-256 and UTF-8 bytes of its raw text, tokens of its training split.

    The digest covers every text and note in canonical order and the split that each belongs to,
    but neither tokenizer nor seq_len, except where the source cuts its raw text by seq_len.
    """

    name: str
    sha256: str
    bytes: int
    n_tokens: int


def identify(name: str, records: Mapping[str, Sequence[Record]], n_tokens: int) -> DataIdentity:
    """Digest the raw records of all splits; n_tokens counts the training tokens."""
    digest, size = hashlib.sha256(), 0
    for split in sorted(records):
        digest.update(f"split {split} {len(records[split])}\n".encode())
        for record in records[split]:
            texts = [text.encode("utf-8", errors="surrogatepass") for text in record.texts]
            size += sum(map(len, texts))
            # Lengths go first so that moving a boundary between texts changes the digest.
            note = json.dumps(record.note, ensure_ascii=True)
            digest.update(f"{[len(text) for text in texts]} {len(note)}\n".encode())
            digest.update(b"".join(texts) + note.encode())
    return DataIdentity(name, digest.hexdigest(), size, n_tokens)


def warn_duplicates(name: str, records: Mapping[str, Sequence[Record]]) -> int:
    """Count the test examples whose texts are also in the training split; warn if there are any."""
    training = {record.texts for record in records["train"]}
    n = sum(record.texts in training for record in records.get("test", ()))
    if n:
        log.warning(
            "%s: %d of %d test examples are also in the training split",
            name,
            n,
            len(records["test"]),
        )
    return n
