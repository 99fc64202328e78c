"""A cache of what takes seconds to compute."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightning_transformer.runs.atomic import write_atomically

log = logging.getLogger(__name__)
T = TypeVar("T")


def cache_folder() -> Path:
    """Return the folder for cached files; it may not exist yet.

    LIGHTNING_TRANSFORMER_CACHE, else XDG_CACHE_HOME or ~/.cache, and in it lightning_transformer.
    """
    base = os.environ.get("LIGHTNING_TRANSFORMER_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lightning_transformer"


def cached(name: str, key: str, compute: Callable[[], T]) -> T:
    """Return compute(), or what an earlier call with the same name and key computed.

    The value must be made of what JSON holds: lists (no tuples), dicts, strings and numbers.
    `key` must change with everything that the value depends on. A cache that cannot be read or
    written costs one logged line and nothing else.
    """
    try:
        path = cache_folder() / f"{name}-{key}.json"
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RuntimeError) as error:
        log.info("cached file not usable, computing it again: %s", error)
    value = compute()
    try:
        path = cache_folder() / f"{name}-{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(value))
    except (OSError, RuntimeError) as error:
        log.info("cannot write the cache, going on without it: %s", error)
    return value
