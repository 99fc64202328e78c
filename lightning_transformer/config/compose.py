"""Composes configurations, and reports in one line what is wrong with what was typed.

Hydra alone answers a misspelt key with advice to add it; here it names the nearest right one.
"""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
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

from lightning_transformer.config.overrides import parse, values
from lightning_transformer.config.validate import NOT_IDENTITY, check, nearest, plain
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.naming import job_name, override_key, run_suffix, sweep_folder
from lightning_transformer.runs.result import config_sha256

OPTIONAL_GROUPS = ("preset", "experiment", "debug")  # none of them by default
# Hydra's message for a group, or an option's part such as attention@attention.first, that no other
# choice uses.
UNUSED = re.compile(
    r"Could not override '([^'@]+(?='. No match in the defaults list)"
    r"|[^']+@[^']+(?='.\sDid you mean to override \w+\?$))",
    re.MULTILINE,
)
MATCH_NONE = "match=none"
SHARED_KEYS = "job.config.override_dirname.exclude_keys"  # in Hydra's own configuration
SEEDS = ("seed", "init_seed")
MAX_CHECKED = 200  # jobs of a sweep that are composed before the first one starts


class InstalledConfigs(SearchPathPlugin):
    """Adds the folders of packages with an entry point `lightning_transformer.conf`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for entry in entry_points(group="lightning_transformer.conf"):
            search_path.append(provider=entry.name, path=f"pkg://{entry.value}")


def register() -> None:
    """Make Hydra find the options of installed packages."""
    Plugins.instance().register(InstalledConfigs)


def differing_overrides(overrides: Sequence[str], shared: Sequence[str] = ()) -> list[str]:
    """Those of a job's overrides that tell it from others: without the shared keys, or else all."""
    own = [
        o for o in overrides if "=" in o and not is_hydra(o) and override_key(o) not in NOT_IDENTITY
    ]
    return [o for o in own if override_key(o) not in shared] or own


def shared_by_jobs(overrides: Iterable[Override]) -> str:
    """What a sweep gives Hydra so that its jobs are named by what differs between them.

    These are the keys with one value, in Hydra's own list of keys that name no job. It is part of
    the configuration, which every launcher hands on to the processes of its jobs.
    """
    overrides = list(overrides)
    once = {override_key(o.get_key_element()) for o in overrides} - set(swept_keys(overrides))
    keys = ",".join(f"'{key}'" for key in sorted(once) if not is_hydra(key))
    return f"hydra.{SHARED_KEYS}=[{keys}]"


def shared_keys(hydra: DictConfig) -> list[str]:
    """The keys that all jobs of a sweep share, from a job's own Hydra configuration."""
    return [str(key) for key in OmegaConf.select(hydra, SHARED_KEYS)]


def _job_folder(*, _root_: DictConfig) -> str:
    hydra = _root_.hydra
    name = job_name(differing_overrides(hydra.overrides.task, shared_keys(hydra)))
    return sweep_folder(Path(hydra.sweep.dir), name, config_sha256(plain(_root_))).name


def _run_suffix(*, _root_: DictConfig) -> str:
    return run_suffix(_root_.hydra.overrides.task)


# At import, so that they are there in every process that has a job to do.
OmegaConf.register_new_resolver("job_folder", _job_folder, replace=True)
OmegaConf.register_new_resolver("run_suffix", _run_suffix, replace=True)


@contextmanager
def composer(folders: Sequence[str] = ()) -> Iterator[ConfigLoader]:
    """Within, hydra.compose works on our configuration folders and on these further ones."""
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
        for job in itertools.islice(_star(swept), MAX_CHECKED):
            check(cfg if job == chosen else composed(job), chosen_groups(job, options))
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
    except (HydraException, OmegaConfBaseException) as error:
        unused = UNUSED.match(str(error))
        if unused:
            raise ConfigError(
                f"{unused[1]} has no effect here: no other choice of this run uses it; leave it out"
            ) from None
        raise ConfigError(" ".join(str(error).split("\n")[:2])) from None
    choices = cfg.hydra.runtime.choices
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, {str(group): str(option) for group, option in choices.items() if option}


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
            if option.removesuffix(".yaml") not in options[group]:
                raise ConfigError(
                    f"unknown option {group}={option}{nearest(option, options[group])} "
                    f"(choose from {', '.join(options[group])})"
                )


def _check_keys(
    overrides: Sequence[Override], cfg: DictConfig, options: dict[str, list[str]]
) -> None:
    """cfg: the configuration of the options that were chosen, with no other override."""
    known = list(_keys(cfg, ""))
    for override in overrides:
        key = override.key_or_group
        if key in options or is_hydra(key) or "@" in key or key in known:
            continue
        open_ended = key.startswith("callbacks.")
        if override.is_add() and (open_ended or ("." in key and key.split(".")[0] in cfg)):
            continue  # a new callback, or an argument that the check of signatures judges
        raise ConfigError(f"unknown key {key}{_suggestion(key, known, options)}")


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
