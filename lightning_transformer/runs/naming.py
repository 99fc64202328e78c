"""Where runs write: a folder that can be written to, readable names for those of a sweep."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.folder_name import is_plain
from lightning_transformer.runs.result import RESULT_FILE, read
from lightning_transformer.runs.secrets import redacted_overrides

MAX_LENGTH = 120  # bytes of UTF-8; leaves room for `~2` and file names below the usual 255

RUNS = "outputs/runs"
NUMBERED = re.compile(r"(?P<name>.*)~(?P<number>[1-9]\d*)", re.DOTALL)

_SWEEP_KEYS = ("sweep", "resume")  # where and how a run is done, not what it computes


def job_name(overrides: Sequence[str]) -> str:
    """Name a run after its overrides: group choices, then dotted keys, then the seed.

    A character that may not stand in a folder name becomes ``-``, and six hex digits of the
    original are appended, so that two runs never share a name by this. At most 120 bytes of
    letters, digits and ``. _ = , + -``; ``default`` without overrides.

    overrides: Hydra's task overrides, such as ``["norm=rmsnorm", "trainer.max_steps=20"]``.
    """
    shown = redacted_overrides(overrides)
    kept = sorted((item for item in shown if _names_run(override_key(item))), key=_order)
    original = ",".join(kept)
    if not original:
        return "default"
    name = "".join(c if is_plain(c) else "-" for c in unicodedata.normalize("NFC", original))
    # a leading dot hides a folder or leaves it (".."); Windows drops a trailing one
    name = re.sub(r"^\.|\.$", "-", name)
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()
    content = name.encode("utf-8")
    if len(content) > MAX_LENGTH - (0 if name == original else 7):
        start = content[: MAX_LENGTH - 9].decode("utf-8", errors="ignore")  # no half character
        return f"{start}-{digest[:8]}"
    return name if name == original else f"{name}-{digest[:6]}"


def free_folder(parent: Path, name: str, config_sha256: str) -> Path:
    """Return the folder of a run below ``parent`` that no run of another config holds.

    That is ``parent/name``, or ``name~2``, ``name~3`` .. while the ``result.json`` there belongs
    to another configuration or cannot be read. A folder without ``result.json`` is free.
    Raises ValueError when ``name`` is not a plain folder name.
    """
    if not name or not all(map(is_plain, name)) or name[0] == "." or name[-1] == ".":
        raise ValueError(f"folder name {name!r} must be a plain name, for example 'norm=rmsnorm'")
    return next(f for f in numbered(Path(parent) / name) if is_free(f, config_sha256))


def numbered(folder: Path) -> Iterator[Path]:
    """The folder itself, then `name~2`, `name~3` .. beside it."""
    yield folder
    found = NUMBERED.fullmatch(folder.name)
    name, number = (found["name"], int(found["number"])) if found else (folder.name, 1)
    while True:
        number += 1
        yield folder.with_name(f"{name}~{number}")


def sweep_folder(sweep: Path, name: str, config_sha256: str) -> Path:
    """Return the folder of a sweep's job: the one that holds a run of this configuration, if any.

    So a job is known again by its configuration, whatever keys named it when it first ran.
    """
    for path in sorted(sweep.glob(f"*/{RESULT_FILE}")):
        if _digest(path, path.stat().st_mtime_ns) == config_sha256:
            return path.parent
    return free_folder(sweep, name, config_sha256)


@cache
def _digest(path: Path, mtime_ns: int) -> str | None:
    """The configuration's digest in a result.json; cached, for a sweep asks of every job."""
    try:
        return read(path).config_sha256
    except ValueError:
        return None


def is_free(folder: Path, config_sha256: str) -> bool:
    """Whether a folder holds no run of another configuration."""
    if not (folder / RESULT_FILE).exists():
        return True
    try:
        return read(folder).config_sha256 == config_sha256
    except ValueError:  # someone's run, whatever state it is in: do not write over it
        return False


def override_key(override: str) -> str:
    """The key of a Hydra override, without ``+``, ``++`` or ``~``: ``+a.b=1`` is of ``a.b``."""
    return override.split("=", 1)[0].lstrip("+~")


def _names_run(key: str) -> bool:
    return key not in _SWEEP_KEYS and not re.match(r"hydra(?:[./]|$)", key)


def _order(override: str) -> tuple[int, str]:
    key = override_key(override)
    rank = 2 if key == "seed" else 1 if "." in key else 0
    return rank, key


def check_place(overrides: Sequence[str], *, several: bool) -> None:
    """Refuse a folder that cannot be made; Hydra would show where in its code that was noticed.

    several: the folder of a sweep. An interpolation is left to Hydra.
    """
    key, place = ("hydra.sweep.dir", "outputs/sweeps") if several else ("hydra.run.dir", RUNS)
    for override in overrides:
        if override.startswith(f"{key}="):
            place = override.split("=", 1)[1].strip("'\"").replace("\\'", "'")
    if "${" in place:
        return
    folder = Path(place).absolute()
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise ConfigError(f"{key}={place}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{key}={place}: {there} may not be written to; choose another folder")


def run_suffix(overrides: Sequence[str]) -> str:
    """The end of a single run's folder name, after the date: `_` and its overrides, or nothing."""
    name = job_name(overrides)
    return "" if name == "default" else f"_{name}"
