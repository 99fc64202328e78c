"""The arguments of `compare run`: its own keys, and the overrides of the runs."""

import argparse
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lightning_transformer.compare.run.adding.seeds import seeds_of
from lightning_transformer.compare.run.after.evaluations import read_settings
from lightning_transformer.compare.run.search.asked import check_apart, rates_of, tuned_of
from lightning_transformer.config.compose import groups, is_hydra
from lightning_transformer.config.overrides import parse, values
from lightning_transformer.config.validate import nearest
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.settings import Setting
from lightning_transformer.runs.folder_name import check_folder_name
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.secrets import redacted_overrides

SEEDS = "3..20"  # until it is settled
FIXED_SEEDS = "5"  # where the number has to stand
OWN = (
    *("name", "seeds", "budget", "lr", "tune", "baseline", "placebo", "halving", "workers", "eval"),
    "mixed_devices",
)
FLAGS = ("--dry-run", "--config-dir")
# Seeds of what is never reported: learning rates, tuned keys, who goes on under halving.
SCREENING_SEEDS = (9001, 9002, 9003, 9004)
TUNING_SEEDS = SCREENING_SEEDS[:3]
RANKING_SEEDS = (8001, 8002, 8003)
INIT_OFFSET = 1_000_000  # a placebo draws its weights from seed + this
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
        first: of the seeds, which each variant is run with; the rest are added one by one, for
            variants that are not settled.
        budget: seconds after which no seed is added.
        lr: ``sweep3``, ``fixed``, or the rates to try as typed.
        rates: those to try; empty for ``sweep3`` and ``fixed``.
        tuned: key to the values among which each variant chooses, as typed.
        halving: the factor, or None.
        workers: jobs at a time, or None for as many as there are cores.
        typed: the arguments without flags, secrets hidden.
        evaluations: what finished runs are measured for again.
        launcher: overrides that say where runs are done.
        mixed_devices: whether runs of several kinds of devices are compared.
    """

    shared: tuple[str, ...]
    swept: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    first: int
    budget: float | None
    baseline: dict[str, str]
    lr: str
    placebo: bool
    halving: int | None
    workers: int | None
    name: str
    dry_run: bool
    config_dirs: tuple[str, ...]
    rates: tuple[float, ...] = ()
    tuned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    typed: tuple[str, ...] = ()
    evaluations: tuple[Setting, ...] = ()
    launcher: tuple[str, ...] = ()
    mixed_devices: bool = False

    @property
    def is_adaptive(self) -> bool:
        """Whether seeds are added until a variant is settled."""
        return self.first < len(self.seeds)

    @property
    def identity(self) -> dict[str, Any]:
        """What the results depend on, as JSON: not the name, the budget, the number of workers."""
        tuned = {key: list(texts) for key, texts in self.tuned.items()}
        return {
            "overrides": dict(sorted(text.split("=", 1) for text in self.shared)),
            "compared": {key: list(texts) for key, texts in self.swept.items()},
            "baseline": self.baseline,
            "seeds": list(self.seeds),
            "first": self.first,
            "lr": self.lr,
            "placebo": self.placebo,
            "halving": self.halving,
            "config_dirs": list(self.config_dirs),
            **({"tune": tuned} if tuned else {}),
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
    shared, swept, launcher = _overrides(overrides, loader)
    if not swept:
        example = "norm=layernorm,rmsnorm"
        if own.get("placebo") != "true":
            raise ConfigError(f"nothing is compared: give a key several values, such as {example}")
        raise ConfigError(f"placebo=true needs a key with several values too, such as {example}")
    first = {key: texts[0] for key, texts in swept.items()}
    typed_seeds = own.get("seeds", FIXED_SEEDS if "halving" in own else SEEDS)
    seeds, n_first = seeds_of(typed_seeds, {*TUNING_SEEDS, *RANKING_SEEDS})
    request = Request(
        shared=tuple(shared),
        swept=swept,
        seeds=seeds,
        first=n_first,
        budget=_seconds(own["budget"]) if "budget" in own else None,
        baseline=first | _baseline(own.get("baseline", ""), swept),
        lr=own.get("lr", "sweep3"),
        rates=rates_of(own.get("lr", "sweep3")),
        tuned=tuned_of(own.get("tune", ""), loader),
        placebo=_is_true("placebo", own),
        halving=_number("halving", own["halving"], 2) if "halving" in own else None,
        workers=_number("workers", own["workers"], 1) if "workers" in own else None,
        name=own.get("name", ""),
        dry_run=dry_run,
        config_dirs=tuple(config_dirs),
        typed=tuple(redacted_overrides(typed)),
        evaluations=read_settings(own["eval"]) if "eval" in own else (),
        launcher=tuple(launcher),
        mixed_devices=_is_true("mixed_devices", own),
    )
    check_apart(
        request.tuned,
        {override_key(text): "fixed" for text in shared}
        | {override_key(key): "compared" for key in swept},
    )
    _check_seeds(request, own)
    return _named(request)


def _check_seeds(request: Request, own: Mapping[str, str]) -> None:
    """Refuse what needs seeds that may be added, or that may not."""
    if request.budget is not None and not request.is_adaptive:
        raise ConfigError(
            f"budget={own['budget']} ends the adding of seeds; give a range, such as "
            f"seeds={SEEDS}, or leave seeds={own['seeds']} out"
        )
    if request.halving and request.is_adaptive:
        raise ConfigError(
            f"halving={request.halving} needs a number of seeds that stands, such as seeds=5, "
            f"not seeds={own['seeds']}"
        )


def _overrides(
    typed: Sequence[str], loader: Any
) -> tuple[list[str], dict[str, tuple[str, ...]], list[str]]:
    """Overrides with one value, key -> values of those with several, and those of the launcher."""
    options = groups(loader)
    shared: list[str] = []
    launcher: list[str] = []
    swept: dict[str, tuple[str, ...]] = {}
    for override in parse(typed, loader):
        key = str(override.key_or_group)
        if key in OTHERWISE or is_hydra(key):
            raise ConfigError(f"{key}= is set by compare run: {OTHERWISE.get(key, 'leave it out')}")
        if key.split(".")[0] == "launcher":
            if override.is_sweep_override():
                raise ConfigError(f"{override.input_line}: all runs have one launcher; give it one")
            launcher.append(override.input_line or "")
            continue
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
    return shared, swept, launcher


def _seconds(text: str) -> float:
    """`90s`, `30min`, `2h`."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)(s|min|h)", text)
    if not found or not float(found[1]):
        raise ConfigError(f"budget={text} must be a time with its unit, such as 90s, 30min or 2h")
    return float(found[1]) * {"s": 1, "min": 60, "h": 3600}[found[2]]


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


def _is_true(key: str, own: dict[str, str]) -> bool:
    return _one_of(key, own.get(key, "false"), ("true", "false")) == "true"


def _number(key: str, text: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or int(text) < least:
        raise ConfigError(f"{key}={text} must be a whole number of at least {least}, such as 3")
    return int(text)


def own_name(request: Request) -> str:
    """The pattern of the names of its comparisons: the compared keys, and six digits."""
    keys = "-".join(key.replace("/", ".") for key in request.swept)
    return re.sub(r"[^A-Za-z0-9._-]", "", keys)[:60] + "-??????"


def _named(request: Request) -> Request:
    """Give a name where none was typed: the same for the same command, so that it continues."""
    name = request.name
    if not name:
        identity = json.dumps(request.identity, sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:6]
        name = own_name(request).replace("?" * 6, digest)
    check_folder_name("name", name)
    return replace(request, name=name)
