"""Reads typed overrides as Hydra does, and says how to write one that it cannot read."""

import shlex
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from lightning_transformer.errors import ConfigError

# Groups of which a run may have several options; each brings entries of its own.
SEVERAL = ("callbacks", "logger", "cleaning")

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


def listed(group: str, option: str) -> list[str]:
    """The options typed for a group: one, or several as in logger=[tensorboard,csv].

    Raises ConfigError, with the spelling that works, where a run cannot have these together.
    """
    if not option.startswith("["):
        return [option]
    names = [name.strip(" '\"") for name in option.strip("[]").split(",") if name.strip()]
    if group not in SEVERAL:
        raise ConfigError(
            f"{group}={option}: a run has one {group}; several make a sweep, "
            f"-m {group}={','.join(names) or 'A,B'}"
        )
    others = list(dict.fromkeys(name for name in names if name != "none"))
    if not names or (len(names) > 1 and others != names):
        right = f"[{','.join(others)}]" if len(others) > 1 else (others or ["none"])[0]
        raise ConfigError(
            f"{group}={option}: each option once, and none alone; write {group}={right}"
        )
    return names


def in_one_run(arguments: Sequence[str]) -> str:
    """How several options are typed for one run, where they were typed as a sweep; "" elsewhere."""
    for override in parse(arguments):
        if override.key_or_group in SEVERAL and override.is_choice_sweep():
            names = ",".join(text.split("=", 1)[1] for text in values(override))
            return f"; for one run with all of them write '{override.key_or_group}=[{names}]'"
    return ""
