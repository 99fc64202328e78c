"""Keys that no option has: those that typed values bring, and where new ones may be added."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


def typed_keys(overrides: Sequence[Override], cfg: DictConfig) -> Iterator[str]:
    """The keys below a group that typed values bring, so that later overrides may change them.

    Those of a dict, as in data.parts={books: {weight: 2}}, and of a new entry with all above it.
    """
    for override in overrides:
        parts = str(override.key_or_group).split(".")
        if parts[0] not in cfg:
            continue
        if override.is_add():
            yield from (".".join(parts[:n]) for n in range(2, len(parts) + 1))
        yield from _below(override.value(), ".".join(parts))


def _below(value: Any, key: str) -> Iterator[str]:
    for name, item in value.items() if isinstance(value, Mapping) else ():
        yield f"{key}.{name}"
        yield from _below(item, f"{key}.{name}")


def open_parent(key: str, known: Sequence[str], cfg: DictConfig) -> str | None:
    """The longest known key above this one, below a group, if it takes entries of any name."""
    parts = key.split(".")
    above = (".".join(parts[:n]) for n in range(len(parts) - 1, 1, -1))
    name = next((name for name in above if name in known), None)
    if name is None:
        return None
    group, _, last = name.rpartition(".")
    holder = OmegaConf.select(cfg, group)
    if not isinstance(holder, DictConfig) or OmegaConf.is_missing(holder, last):
        return name
    if last not in holder:  # of a typed value
        return name
    node = holder[last]
    return name if isinstance(node, DictConfig) and "_target_" not in node else None
