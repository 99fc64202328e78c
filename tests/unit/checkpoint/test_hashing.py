from __future__ import annotations

import hashlib
import time
from pathlib import Path

from lightning_transformer.checkpoint.hashing import BLOCK, StreamingHash, digest


def test_digest_is_sha256_and_length(tmp_path: Path) -> None:
    content = b"ab" * BLOCK
    (tmp_path / "file").write_bytes(content)
    wanted = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": 2 * BLOCK}
    assert digest(tmp_path / "file") == wanted


def test_a_digest_of_a_file_that_grows_slowly(tmp_path: Path) -> None:
    path = tmp_path / "slow"
    with StreamingHash(path) as followed, path.open("wb") as file:
        for part in (b"a" * 10, b"b" * (BLOCK + 3), b"", b"c"):
            file.write(part)
            file.flush()
            time.sleep(0.01)
    assert followed.entry == digest(path)
    assert followed.entry["bytes"] == BLOCK + 14
