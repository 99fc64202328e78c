"""What is typed after `lr=` and `tune=`."""

import itertools
import math
import re
from typing import Any

from lightning_transformer.compare.report.choice.rate_curve import LEAST_RATES, significant
from lightning_transformer.config.compose import groups, is_hydra
from lightning_transformer.config.overrides import parse, values
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key

POLICIES = ("sweep3", "fixed")
N_POINTS = 5  # of a range
MOST_POINTS = 50
RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+)(:(?P<n>\d+))?")
OTHER_KEYS = ("seed", "init_seed", "sweep", "resume", "trainer.max_steps", "trainer.val_every")


def rates_of(text: str) -> tuple[float, ...]:
    """The rates of `lr=`, ascending: a range at equal ratios, or a list; empty for a policy.

    Raises ConfigError, in one line, for anything else.
    """
    if text in POLICIES:
        return ()
    if match := RANGE.fullmatch(text):
        low, high = (_rate(text, match[name]) for name in ("low", "high"))
        n = int(match["n"] or N_POINTS)
        if low >= high:
            raise ConfigError(f"lr={text}: write the lower rate first, such as lr=1e-4..1e-2")
        if not LEAST_RATES <= n <= MOST_POINTS:
            raise ConfigError(
                f"lr={text}: {n} points must be {LEAST_RATES} to {MOST_POINTS}, such as "
                f"lr={match['low']}..{match['high']}:{N_POINTS}"
            )
        ratio = high / low
        inner = (float(f"{low * ratio ** (i / (n - 1)):.3g}") for i in range(1, n - 1))
        rates = (low, *inner, high)
        if any(a >= b for a, b in itertools.pairwise(rates)):
            raise ConfigError(
                f"lr={text}: {n} rates with three digits do not fit between them; take fewer"
            )
        return rates
    parts = text.strip("[]").split(",")
    if len(parts) < 2:
        raise ConfigError(
            f"lr={text} must be {' or '.join(POLICIES)}, a range such as 1e-4..1e-2, or a list "
            "such as 0.001,0.002,0.004; one rate is optimizer.lr=.. with lr=fixed"
        )
    rates = tuple(sorted(_rate(text, part) for part in parts))
    if len(set(rates)) < len(rates):
        raise ConfigError(f"lr={text}: a rate is given twice; name each once")
    return rates


def _rate(text: str, part: str) -> float:
    try:
        rate = float(part)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise ConfigError(f"lr={text}: {part} is no rate above 0; write it like 0.001 or 1e-3")
    return significant(rate)


def tuned_of(text: str, loader: Any) -> dict[str, tuple[str, ...]]:
    """Key to values of `tune=KEY:A,B;KEY:A,B`; ConfigError, in one line, for anything else."""
    found: dict[str, tuple[str, ...]] = {}
    options = groups(loader)
    for part in filter(None, text.split(";")):
        key, sign, listed = part.strip().partition(":")
        if not sign or not listed or "=" in key:
            raise ConfigError(
                f"tune={part} must be a key and its values, such as "
                "tune=optimizer.weight_decay:0,0.1"
            )
        (override,) = parse([f"{key}={listed}"], loader)
        texts = [one.split("=", 1)[1] for one in values(override)]
        _check_key(key, options)
        if len(texts) < 2 or len(set(texts)) < len(texts):
            raise ConfigError(
                f"tune={part}: write two or more values, each once, such as {key}:A,B"
            )
        if key in found:
            raise ConfigError(f"tune={text}: {key} is given twice; write its values once")
        found[key] = tuple(texts)
    return found


def _check_key(key: str, options: Any) -> None:
    if key in options:
        raise ConfigError(
            f"tune={key}: a group is compared or fixed, not tuned; write {key}=A,B, or tune one of "
            "its keys"
        )
    if override_key(key) != key or is_hydra(key):
        raise ConfigError(f"tune={key}: write a key of the configuration, without + or ~")
    if key in OTHER_KEYS:
        raise ConfigError(
            f"tune={key}: it sets what a run is given, and is the same for all; fix it"
        )


def check_apart(tuned: dict[str, tuple[str, ...]], others: dict[str, str]) -> None:
    """Raise ConfigError for a key that is tuned and compared, fixed, or chosen by lr= as well.

    others: key to what else is done with it.
    """
    for key in tuned:
        if key in others:
            raise ConfigError(f"{key} is tuned and {others[key]}; leave one out")
