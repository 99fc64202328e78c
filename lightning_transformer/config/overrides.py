"""Reads typed overrides as Hydra does, and says how to write one that it cannot read."""

import shlex
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from lightning_transformer.errors import ConfigError

RULE = (
    "key=value, and quote values with spaces, commas or brackets for the shell, "
    "for example 'a=[1,2]'"
)


def parse(arguments: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Arguments as Hydra understands them; with the loader also norm=glob(*)."""
    parser = OverridesParser.create(loader)
    found = []
    for argument in arguments:
        try:
            found += parser.parse_overrides([argument])
        except HydraException:
            spelling = _quoted(argument, parser)
            advice = shlex.quote(spelling) if spelling else RULE
            raise ConfigError(f"cannot read {argument!r}: write {advice}") from None
    return found


def _quoted(argument: str, parser: OverridesParser) -> str | None:
    """key="value", if Hydra reads that as this very text; None for what looks like a list."""
    key, _, value = argument.partition("=")
    if not value or value.startswith(("[", "{", "'", '"')):
        return None
    spelling = f'{key}="{value}"'
    try:
        return spelling if parser.parse_override(spelling).value() == value else None
    except HydraException:
        return None


def values(override: Override) -> list[str]:
    """The one or several overrides that a typed one means, as text."""
    if override.is_discrete_sweep():
        key = override.get_key_element()
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    if override.is_sweep_override():
        return []  # a range for a sweeper that searches: nothing to check yet
    return [override.input_line or ""]
