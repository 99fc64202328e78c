"""Hydra 1.3 composes three times as fast with three of its inner functions replaced.

For each file of the defaults list Hydra builds a map of all choices so far, which grows with the
square of the number of groups and is read only where a choice is an interpolation; it parses
each file anew for each composition, of which a sweep or a comparison makes one for each job; and
it composes a command once more to read hydra.mode, which our files leave alone.
"""

import copy
import os
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra.plugins.config_source import ConfigResult

_parse = FileConfigSource.load_config
_choices = defaults_list._create_interpolation_map
_mode = Hydra.get_mode
SETS_MODE = ("hydra.mode", "hydra.searchpath")  # words that do, or that bring files which may
OURS = {"hydra", "main", "schema"}  # the sources of Hydra's files and ours
_parsed: dict[tuple[object, ...], ConfigResult] = {}


def install() -> None:
    """Replace the three functions in this process; the configurations stay what they were."""
    FileConfigSource.load_config = load_config  # type: ignore[method-assign]
    defaults_list._create_interpolation_map = interpolation_map  # type: ignore[assignment]
    Hydra.get_mode = get_mode  # type: ignore[method-assign]


def get_mode(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    """hydra.mode; None, for which Hydra goes by the flag -m, where nothing can have set it."""
    others = {source.provider for source in self.config_loader.get_sources()} - OURS
    if others or any(key in text for key in SETS_MODE for text in overrides):
        return _mode(self, config_name, overrides)
    return None


def interpolation_map(overrides: Any, chosen: list[Any], self_added: bool) -> Any:
    """The choices that an interpolation may name, or None where no choice is an interpolation."""
    if any(not choice.is_self() and choice.is_interpolation() for choice in chosen):
        return _choices(overrides, chosen, self_added)
    return None


def load_config(self: FileConfigSource, config_path: str) -> ConfigResult:
    """What the file says, parsed again only where it was written to since."""
    path = os.path.join(self.path, self._normalize_file_name(config_path))
    try:
        file = os.stat(path)
    except OSError:
        return _parse(self, config_path)
    key = (self.provider, path, file.st_ino, file.st_mtime_ns, file.st_size)
    if key not in _parsed:
        _parsed[key] = _parse(self, config_path)
    found = copy.copy(_parsed[key])
    found.config = copy.deepcopy(found.config)
    return found
