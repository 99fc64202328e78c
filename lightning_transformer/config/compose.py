"""Composes configurations, and reports in one line what is wrong with what was typed.

Hydra alone answers a misspelt key with advice to add it; here it names the nearest right one.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from lightning_transformer.config import faster_hydra
from lightning_transformer.config.brought_groups import belongs_to
from lightning_transformer.config.new_keys import open_parent, typed_keys
from lightning_transformer.config.overrides import SEVERAL, listed, parse, values
from lightning_transformer.config.validate import (
    check,
    check_replaced,
    nearest,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.trusted_targets import plugins

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException)
OPTIONAL_GROUPS = ("preset", "experiment", "debug")  # none of them by default
# Hydra's message for a group, or an option's part such as attention@attention.first, that no other
# choice uses.
UNUSED = re.compile(
    r"(?:In '([^']+)': )?"  # the file that chooses, unless it was typed
    r"Could not override '([^'@]+(?='. No match in the defaults list)"
    r"|[^']+@[^']+(?='.\sDid you mean to override \w+\?$))",
    re.MULTILINE,
)
MATCH_NONE = "match=none"
LAUNCHER_LOCAL = "launcher=local"
SEEDS = ("seed", "init_seed")
MAX_CHECKED = 200  # jobs of a sweep that are composed before the first one starts


class InstalledConfigs(SearchPathPlugin):
    """Adds the folders of packages with an entry point `lightning_transformer.conf`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for entry in plugins():
            search_path.append(provider=entry.name, path=f"pkg://{entry.value}")


def register() -> None:
    """Make Hydra find the options of installed packages, and compose faster."""
    faster_hydra.install()
    Plugins.instance().register(InstalledConfigs)


@contextmanager
def composer(folders: Sequence[str] = ()) -> Iterator[ConfigLoader]:
    """Within, hydra.compose works on our configuration folders and on these further ones."""
    faster_hydra.install()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        loader: Any = GlobalHydra.instance().config_loader()
        path = loader.get_search_path()
        for folder in folders:  # before Hydra's own schema, which must be the last
            path.prepend("command-line", f"file://{folder}", "schema")
        loader.repository.initialize_sources(path)
        yield loader


def groups(loader: ConfigLoader) -> dict[str, list[str]]:
    """Every group with its options."""
    names = [name for name in loader.list_groups("") if not name.startswith("hydra")]
    # Not the loader's get_group_options, which reads all folders anew for each group.
    repository: Any = loader.repository  # type: ignore[attr-defined]
    return {name: repository.get_group_options(name, ObjectType.CONFIG) for name in sorted(names)}


def preflight(arguments: Sequence[str], folders: Sequence[str] = ()) -> int:
    """Check everything that was typed; return how many jobs it makes.

    folders: of further options, from --config-dir.

    Raises ConfigError for an unknown group, option, key or type, a missing value, or a group that
    would not be used. For a sweep each swept value is checked, with the first of all others.
    """
    with composer(folders) as loader:
        overrides = parse(arguments, loader)
        options = groups(loader)
        swept = [values(override) for override in overrides]
        _check_choices(overrides, swept, options)
        chosen = [
            t[0] for o, t in zip(overrides, swept, strict=True) if o.key_or_group in options and t
        ]
        cfg = composed(chosen)
        _check_keys(overrides, cfg, options)
        typed = [str(override.key_or_group) for override in overrides]
        for job in itertools.islice(_star(swept), MAX_CHECKED):
            job_cfg = cfg if job == chosen else composed(job)
            check(job_cfg, chosen_groups(job, options))
            check_replaced(typed, job_cfg)
    # A range for a sweeper that searches makes several jobs, nobody knows how many.
    return math.prod(len(texts) or 2 for texts in swept)


def swept_keys(overrides: Iterable[Override]) -> list[str]:
    """The keys that were given several values."""
    return [override_key(o.get_key_element()) for o in overrides if o.is_sweep_override()]


def check_match(arguments: Sequence[str], *, several: bool, folders: Sequence[str] = ()) -> None:
    """Refuse match= where it would do nothing: `compare run` is what solves for it."""
    typed = [text.lstrip("+") for text in arguments]
    asked = next((t for t in typed if t.startswith(("match=", "match.")) and t != MATCH_NONE), None)
    if asked is None and several:
        with composer(folders) as loader:
            overrides = parse(arguments, loader)
            if set(swept_keys(overrides)) - set(SEEDS):
                first = [texts[0] for o in overrides if (texts := values(o))]
                match = chosen_options(first)["match"]
                asked = f"match={match}" if match != "none" else None
    if asked is not None:
        raise ConfigError(
            f"{asked} is solved for by `python -m lightning_transformer.compare run`; give it what "
            f"you typed here, or write {MATCH_NONE}"
        )


def check_launcher(arguments: Sequence[str]) -> None:
    """Refuse launcher= where it would do nothing: `compare run` is what starts jobs with it."""
    typed = [text.lstrip("+") for text in arguments]
    asked = (t for t in typed if t.startswith(("launcher=", "launcher.")) and t != LAUNCHER_LOCAL)
    if (text := next(asked, None)) is not None:
        raise ConfigError(
            f"{text} is for `python -m lightning_transformer.compare run`; one run is put into a "
            "queue by `python -m lightning_transformer.cluster script`, a sweep by hydra/launcher="
        )


def composed(overrides: Sequence[str]) -> DictConfig:
    """The configuration of one job; ConfigError if it does not compose. Call within composer()."""
    return composed_with_options(overrides)[0]


def chosen_options(overrides: Sequence[str]) -> dict[str, str]:
    """group -> option for all groups of one job, as Hydra chose them. Call within composer()."""
    return composed_with_options(overrides)[1]


def composed_with_options(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """`composed` and `chosen_options` of one job, which is composed only once for both."""
    try:
        cfg = compose("config", list(overrides), return_hydra_config=True)
    except COMPOSE_ERRORS as error:
        if unused := UNUSED.match(str(error)):
            raise ConfigError(_without_effect(unused[1], unused[2], overrides)) from None
        raise ConfigError(" ".join(str(error).split("\n")[:2])) from None
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, {str(group): str(option) for group, option in choices.items() if option}


def _without_effect(file: str | None, key: str, overrides: Sequence[str]) -> str:
    """What to say of a choice that no other choice of the run uses.

    file: the option that makes it, such as experiment/norms; None if it was typed.
    """
    if file is None:
        where = belongs_to(key) or "no other choice of this run uses it"
        return f"{key} has no effect here: {where}; leave it out"
    chosen = "=".join(file.rsplit("/", 1))
    for other in overrides:
        if other != chosen and _composes([text for text in overrides if text != other]):
            return f"{chosen} chooses {key}, which {other} does not use; leave out {other}"
    return f"{chosen} chooses {key}, which no other choice of this run uses; leave out {chosen}"


def _composes(overrides: list[str]) -> bool:
    try:
        compose("config", overrides, return_hydra_config=True)
    except COMPOSE_ERRORS:
        return False
    return True


def chosen_groups(overrides: Sequence[str], options: dict[str, list[str]]) -> dict[str, str]:
    """group -> option for the groups that were picked by hand."""
    pairs = (text.split("=", 1) for text in overrides if "=" in text)
    return {key: option for key, option in pairs if key in options}


def _star(swept: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Jobs in which at most one override has another than its first value."""
    swept = [list(items) for items in swept if items]
    yield [items[0] for items in swept]
    for i, items in enumerate(swept):
        for other in items[1:]:
            yield [other if j == i else first[0] for j, first in enumerate(swept)]


def is_hydra(key: str) -> bool:
    return key == "hydra" or key.startswith(("hydra.", "hydra/"))


def _check_choices(
    overrides: Sequence[Override], swept: Sequence[Sequence[str]], options: dict[str, list[str]]
) -> None:
    for override, texts in zip(overrides, swept, strict=True):
        group = override.key_or_group
        if group not in options:
            continue
        if override.is_delete():
            if group in OPTIONAL_GROUPS:
                continue
            raise ConfigError(
                f"~{group}: every run has a {group}; choose from {', '.join(options[group])}"
            )
        for text in texts:
            option = text.split("=", 1)[1].strip("'\"")
            if option == "null" and group in OPTIONAL_GROUPS:
                raise ConfigError(f"{group}=null: without {group} there is none, so leave it out")
            for name in listed(group, option):
                if name.removesuffix(".yaml") in options[group]:
                    continue
                raise ConfigError(
                    f"unknown option {group}={name}{nearest(name, options[group])} "
                    f"(choose from {', '.join(options[group])})"
                )


def _check_keys(
    overrides: Sequence[Override], cfg: DictConfig, options: dict[str, list[str]]
) -> None:
    """cfg: the configuration of the options that were chosen, with no other override."""
    known = [*_keys(cfg, ""), *typed_keys(overrides, cfg)]
    for override in overrides:
        key = override.key_or_group
        if key in options or is_hydra(key) or "@" in key or key in known:
            continue
        open_ended = key.startswith(tuple(f"{name}." for name in SEVERAL))
        if override.is_add() and (open_ended or ("." in key and key.split(".")[0] in cfg)):
            continue  # a new entry, or an argument that the check of signatures judges
        parent = open_parent(key, known, cfg)
        near = _suggestion(key, known, options if parent is None else {})
        new = "" if parent is None or override.is_add() else f"; a new one below {parent} is +{key}"
        raise ConfigError(f"unknown key {key}{near}{new}")


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    """Dotted names of everything below a node, other groups' nodes only under their own name."""
    for name in map(str, node):
        key = f"{prefix}{name}"
        if is_hydra(key):
            continue
        yield key
        if not OmegaConf.is_missing(node, name) and not OmegaConf.is_interpolation(node, name):
            value = node[name]
            if isinstance(value, DictConfig):
                yield from _keys(value, f"{key}.")


def _suggestion(key: str, known: Sequence[str], options: dict[str, list[str]]) -> str:
    group, _, last = key.rpartition(".")
    same_end = [name for name in known if name.rpartition(".")[2] == last]
    if same_end:
        return f"; did you mean {' or '.join(same_end[:3])}?"
    siblings = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == group]
    near = nearest(last, siblings)
    if near:
        return near.replace("mean ", f"mean {group}.") if group else near
    if group in known:
        shown = ", ".join(name for name in siblings if not name.startswith("_"))
        return f" ({group} has {shown})" if shown else f" (the chosen {group} has no options)"
    return nearest(key, known) or f" (groups: {', '.join(options)})"
