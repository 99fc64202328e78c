"""Rows that come over the network: read once for each start, into a file of the cache."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from lightning_transformer.data.store import corpus
from lightning_transformer.data.store.inputs import file_sha256
from lightning_transformer.data.store.prepare import refusing_bad_cache

log = logging.getLogger(__name__)
ROWS, CHECKED = "rows.jsonl", "checked"


def streamed_file(name: str, rows: Callable[[], Iterable[dict[str, Any]]]) -> Path:
    """The file that holds the rows of a data set, one per line, as JSON.

    Rows that are the same as last time leave the file as it is, so that what was encoded from it is
    found again. Of several processes that ask at once one reads, and the others take what it wrote.
    What is neither text nor number, list nor object becomes an object of its type's name.
    """
    asked = time.time_ns()
    folder = corpus.corpora() / hashlib.sha256(f"streamed {name}".encode()).hexdigest()[:32]
    file, checked = folder / ROWS, folder / CHECKED
    with refusing_bad_cache(folder), corpus.making(folder, name):
        if checked.exists() and checked.stat().st_mtime_ns >= asked:
            return file
        folder.mkdir(exist_ok=True)
        log.info("%s: reading all rows, once, into %s", name, folder)
        part = folder / f"{ROWS}.part"
        with part.open("w", encoding="utf-8") as out:
            for row in rows():
                out.write(json.dumps(row, ensure_ascii=False, default=_type_of) + "\n")
            out.flush()
            os.fsync(out.fileno())
        if file.exists() and file_sha256(file) == file_sha256(part):
            part.unlink()
        else:
            part.replace(file)
        checked.touch()
        os.utime(checked)
    return file


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of such a file."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _type_of(value: Any) -> dict[str, str]:
    return {"type": type(value).__name__}
