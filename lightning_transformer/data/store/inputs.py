"""Digests of input files, which are read again only when size or time of a file has changed."""

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from lightning_transformer.data.cache import cache_folder
from lightning_transformer.runs.atomic import write_atomically

log = logging.getLogger(__name__)
INDEX = "inputs.json"
SETTLED = 2.0
"""Seconds; a file written less long ago may change again without another time of change."""


def stamp(path: Path) -> list[int]:
    """Size in bytes and time of the last change in nanoseconds."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def input_digests(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by absolute path; known ones are taken from the index in the cache.

    An index that cannot be read is begun anew; one that cannot be written is done without.
    """
    index = _read_index()
    digests, changed = {}, False
    for path in paths:
        name, now = str(path.absolute()), stamp(path)
        known = index.get(name)
        if isinstance(known, list) and known[:2] == now:
            digests[name] = str(known[2])
            continue
        digests[name] = file_sha256(path)
        if stamp(path) != now:
            raise ValueError(f"{path} changed while it was read; start again once it is complete")
        if time.time() - now[1] / 1e9 > SETTLED:
            index[name] = [*now, digests[name]]
            changed = True
    if changed:
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            write_atomically(cache_folder() / INDEX, json.dumps(index))
        except OSError as error:
            log.info("cannot write the cache, going on without it: %s", error)
    return digests


def _read_index() -> dict[str, object]:
    try:
        found = json.loads((cache_folder() / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
