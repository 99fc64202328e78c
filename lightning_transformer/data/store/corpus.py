"""A corpus on disk: found by what it was made of, or made, by one process at a time."""

import dataclasses
import hashlib
import inspect
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers
from filelock import FileLock, Timeout

from lightning_transformer.data.cache import cache_folder
from lightning_transformer.data.cleaning.base import identity
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.store.columns import spot_sha256
from lightning_transformer.data.store.inputs import input_digests
from lightning_transformer.runs.atomic import write_atomically

log = logging.getLogger(__name__)
FORMAT = 1
MANIFEST, VOCABULARY, JOURNAL = "manifest.json", "tokenizer.json", "progress.json"
# Options that change neither the text of a source nor its tokens.
LATER = {
    "tokenizer",
    "packing",
    "batch_size",
    "eval_batch_size",
    "num_workers",
    "bucket_steps",
    "cache_gb",
}


def corpora() -> Path:
    """The folder of all corpora in the cache."""
    return cache_folder() / "corpora"


def _code_sha256(source: Any) -> str:
    """Digest of the code that makes tokens of text: that of data/, and that of the source."""
    digest = hashlib.sha256()
    own = inspect.getsourcefile(type(source))
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    for file in [*files, *([Path(own)] if own else [])]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def ingredients(source: Any, inputs: Sequence[Path]) -> dict[str, Any]:
    """All that the tokens depend on, as JSON holds it."""
    options = {f.name: getattr(source, f.name) for f in dataclasses.fields(source)}
    if source.example is Tokens:
        del options["seq_len"]  # cut into rows later
    options.pop("cleaning", None)  # by its stages, below
    kind = type(source)
    return {
        "format": FORMAT,
        "code": _code_sha256(source),
        "tokenizers": tokenizers.__version__,
        "source": f"{kind.__module__}.{kind.__qualname__}",
        "options": {name: value for name, value in options.items() if name not in LATER},
        "cleaning": identity(source.stages),
        "tokenizer": {"class": type(source.tokenizer).__name__, **source.tokenizer.identity()},
        "inputs": input_digests(inputs),
    }


def folder_of(made_of: dict[str, Any]) -> Path:
    """The folder of the corpus that is made of this."""
    text = json.dumps(made_of, sort_keys=True, default=str)
    return corpora() / hashlib.sha256(text.encode()).hexdigest()[:32]


def comparable(made_of: dict[str, Any]) -> str:
    """What a corpus was made of besides its tokenizer."""
    kept = {key: value for key, value in made_of.items() if key != "tokenizer"}
    return json.dumps(kept, sort_keys=True, default=str)


def read_manifest(folder: Path, use: bool = True) -> dict[str, Any]:
    """The manifest of a complete, undamaged corpus. use: note that it was used now.

    Raises FileNotFoundError where there is none, and ValueError where its files are others.
    """
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    try:
        found = json.loads(text)
        files = dict(found["files"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{MANIFEST} cannot be read") from None
    for name, digest in files.items():
        if not (folder / name).exists() or spot_sha256(folder / name) != digest:
            raise ValueError(f"{name} does not have the digest of the manifest")
    assert isinstance(found, dict)
    if use:
        os.utime(folder / MANIFEST)
    return found


@contextmanager
def making(folder: Path, name: str) -> Iterator[None]:
    """Within, no other process makes this corpus; one that comes second waits, and says so.

    The lock is one of the operating system: it ends with its process, however that ends.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another process is encoding it; waiting", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def finish(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a corpus whose files are complete and on the disk."""
    write_atomically(folder / MANIFEST, json.dumps(manifest))
    (folder / JOURNAL).unlink(missing_ok=True)


class Kept(NamedTuple):
    """A corpus in the cache: its bytes, when it was last used (seconds), whether it is complete."""

    folder: Path
    size: int
    used: float
    complete: bool


def kept() -> list[Kept]:
    """The corpora in the cache, the least recently used first."""
    found = []
    for folder in corpora().glob("*/"):
        files = [file.stat() for file in folder.iterdir() if file.is_file()]
        complete = (folder / MANIFEST).exists()
        last = [(folder / MANIFEST).stat()] if complete else files
        used = max((file.st_mtime for file in last), default=0.0)
        found.append(Kept(folder, sum(file.st_size for file in files), used, complete))
    return sorted(found, key=lambda one: one.used)


def shrink(limit: float, keep: Path | None = None) -> list[Kept]:
    """Remove the least recently used corpora until at most `limit` bytes are left, and return them.

    keep: one that stays. What another process is making stays too.
    """
    there, removed = kept(), []
    total = sum(one.size for one in there)
    for one in there:
        if total <= limit:
            break
        if one.folder == keep:
            continue
        lock = FileLock(one.folder.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            shutil.rmtree(one.folder)
        finally:
            lock.release()
        total -= one.size
        removed.append(one)
    return removed
