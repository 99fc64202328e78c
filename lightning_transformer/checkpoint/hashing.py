"""SHA-256 and length of files: what a manifest says of each."""

import hashlib
import threading
from pathlib import Path
from typing import Any

BLOCK = 1 << 20  # bytes at once


def digest(path: Path) -> dict[str, Any]:
    """The entry of a file in a manifest."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha.update(block)
    return {"sha256": sha.hexdigest(), "bytes": path.stat().st_size}


class StreamingHash:
    """The digest of a file, made while it is being written from front to back.

    with StreamingHash(path) as digest: write all of the file, and put it on the disk
    entry: SHA-256 and bytes, what a manifest says of a file; set when the block ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entry: dict[str, Any] = {}
        self._written = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "StreamingHash":
        self.path.write_bytes(b"")
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._written.set()
        self._thread.join()

    def _follow(self) -> None:
        sha, n_bytes = hashlib.sha256(), 0
        with self.path.open("rb") as file:
            while True:
                written = self._written.is_set()  # read before the file, so that no block is missed
                block = file.read(BLOCK)
                sha.update(block)
                n_bytes += len(block)
                if written and not block:
                    break
                if len(block) < BLOCK:
                    self._written.wait(0.002)
        self.entry = {"sha256": sha.hexdigest(), "bytes": n_bytes}
