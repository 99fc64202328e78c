"""The arguments of `compare run`: its own keys, and the overrides of the runs."""

import argparse
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lightning_transformer.config.compose import groups, is_hydra
from lightning_transformer.config.overrides import parse, values
from lightning_transformer.config.validate import nearest
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.folder_name import check_folder_name

OWN = ("name", "seeds", "lr", "baseline", "placebo", "halving", "workers")
FLAGS = ("--dry-run", "--config-dir")
LR_POLICIES = ("sweep3", "fixed")
SCREENING_SEED = 9001  # never one of the reported
OTHERWISE = {
    "seed": "write seeds=5, or seeds=1,2,3",
    "sweep": "write name=...",
    "resume": "the same command continues by itself",
}


@dataclass(frozen=True)
class Request:
    """A comparison as the user asked for it.

    Attributes:
        shared: overrides of all runs.
        swept: key to its values, as typed; what is compared.
        baseline: swept key to value.
        lr: ``sweep3`` or ``fixed``.
        halving: the factor, or None.
        workers: jobs at a time, or None for as many as there are cores.
    """

    shared: tuple[str, ...]
    swept: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    baseline: dict[str, str]
    lr: str
    placebo: bool
    halving: int | None
    workers: int | None
    name: str
    dry_run: bool
    config_dirs: tuple[str, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """What the results depend on, as JSON: all but the name and the number of workers."""
        return {
            "overrides": dict(sorted(text.split("=", 1) for text in self.shared)),
            "compared": {key: list(texts) for key, texts in self.swept.items()},
            "baseline": self.baseline,
            "seeds": list(self.seeds),
            "lr": self.lr,
            "placebo": self.placebo,
            "halving": self.halving,
            "config_dirs": list(self.config_dirs),
        }


def split_flags(argv: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    """Split the arguments into --config-dir folders, --dry-run, and all others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--config-dir", action="append", default=[])
    try:
        flags, rest = parser.parse_known_args(list(argv))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}; write for example --config-dir=my_conf") from None
    if unknown := next((text for text in rest if text.startswith("-")), None):
        raise ConfigError(
            f"unknown flag {unknown}{nearest(unknown, FLAGS)} (flags: --help, {', '.join(FLAGS)})"
        )
    return flags.config_dir, flags.dry_run, rest


def read_request(
    typed: Sequence[str], loader: Any, *, dry_run: bool = False, config_dirs: Sequence[str] = ()
) -> Request:
    """The comparison that the arguments without flags ask for; ConfigError, in one line, if none.

    loader: of `compose.composer`; it knows the groups and their options.
    """
    own: dict[str, str] = {}
    overrides = []
    for argument in typed:
        key, sign, value = argument.partition("=")
        if sign and key in OWN:
            if key in own:
                raise ConfigError(f"{key} is given twice: {key}={own[key]} and {argument}")
            own[key] = value
        else:
            overrides.append(argument)
    shared, swept = _overrides(overrides, loader)
    if not swept:
        example = "norm=layernorm,rmsnorm"
        if own.get("placebo") != "true":
            raise ConfigError(f"nothing is compared: give a key several values, such as {example}")
        raise ConfigError(f"placebo=true needs a key with several values too, such as {example}")
    first = {key: texts[0] for key, texts in swept.items()}
    request = Request(
        shared=tuple(shared),
        swept=swept,
        seeds=_seeds(own.get("seeds", "5")),
        baseline=first | _baseline(own.get("baseline", ""), swept),
        lr=_one_of("lr", own.get("lr", "sweep3"), LR_POLICIES),
        placebo=_one_of("placebo", own.get("placebo", "false"), ("true", "false")) == "true",
        halving=_number("halving", own["halving"], 2) if "halving" in own else None,
        workers=_number("workers", own["workers"], 1) if "workers" in own else None,
        name=own.get("name", ""),
        dry_run=dry_run,
        config_dirs=tuple(config_dirs),
    )
    return _named(request)


def _overrides(typed: Sequence[str], loader: Any) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The overrides with one value, and key -> values of those with several."""
    options = groups(loader)
    shared: list[str] = []
    swept: dict[str, tuple[str, ...]] = {}
    for override in parse(typed, loader):
        key = str(override.key_or_group)
        if key in OTHERWISE or is_hydra(key):
            raise ConfigError(f"{key}= is set by compare run: {OTHERWISE.get(key, 'leave it out')}")
        if not override.is_sweep_override():
            shared.append(override.input_line or "")
            continue
        texts = [text.split("=", 1)[1] for text in values(override)]
        if key == "experiment":
            raise ConfigError("experiment= pins what is compared under; give it one value")
        if override.is_delete() or not texts:
            raise ConfigError(f"{override.input_line}: write the values out, such as {key}=1,2")
        if len(set(texts)) < len(texts):
            raise ConfigError(f"{override.input_line}: a value is given twice; name each once")
        name = str(override.get_key_element())
        if name in swept or key in swept:
            raise ConfigError(f"{key} is given several values twice; write {key}=a,b once")
        if key in options or not override.is_add():
            name = key
        swept[name] = tuple(texts)
    twice = {text.split("=", 1)[0] for text in shared} & set(swept)
    if twice:
        raise ConfigError(f"{min(twice)} is given one value and several; write it once")
    return shared, swept


def _seeds(text: str) -> tuple[int, ...]:
    """`5` is 1 to 5; `3,7` is these two."""
    parts = text.strip("[]").split(",")
    if not all(re.fullmatch(r"\d{1,18}", part) for part in parts):
        raise ConfigError(f"seeds={text} must be how many, such as 5, or which, such as 1,2,3")
    numbers = tuple(int(part) for part in parts)
    seeds = numbers if len(numbers) > 1 or "[" in text else tuple(range(1, numbers[0] + 1))
    if not seeds:
        raise ConfigError("seeds=0 must be at least 1; 5 is a good number")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={text}: one is given twice; name each once")
    if SCREENING_SEED in seeds:
        raise ConfigError(
            f"seeds={text}: {SCREENING_SEED} is the seed that learning rates are chosen with; "
            "choose others"
        )
    return seeds


def _baseline(text: str, swept: dict[str, tuple[str, ...]]) -> dict[str, str]:
    found = {}
    for part in filter(None, text.split(",")):
        key, sign, value = part.partition("=")
        if not sign or key not in swept:
            raise ConfigError(
                f"baseline={text} must name what is compared, such as "
                f"baseline={next(iter(swept))}={next(iter(swept.values()))[0]}"
            )
        if value not in swept[key]:
            raise ConfigError(
                f"baseline={text}: {key}={value} is not compared; one of {', '.join(swept[key])}"
            )
        found[key] = value
    return found


def _one_of(key: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ConfigError(f"{key}={value} must be {' or '.join(allowed)}")
    return value


def _number(key: str, text: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or int(text) < least:
        raise ConfigError(f"{key}={text} must be a whole number of at least {least}, such as 3")
    return int(text)


def _named(request: Request) -> Request:
    """Give a name where none was typed: the same for the same command, so that it continues."""
    name = request.name
    if not name:
        identity = json.dumps(request.identity, sort_keys=True)
        keys = "-".join(key.replace("/", ".") for key in request.swept)
        keys = re.sub(r"[^A-Za-z0-9._-]", "", keys)[:60]
        name = f"{keys}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"
    check_folder_name("name", name)
    return replace(request, name=name)
