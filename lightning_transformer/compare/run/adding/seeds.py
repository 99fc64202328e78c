"""The seeds that `seeds=` asks for."""

import re
from collections.abc import Set

from lightning_transformer.errors import ConfigError


def seeds_of(text: str, reserved: Set[int]) -> tuple[tuple[int, ...], int]:
    """The seeds, and how many of them are run in any case. Raises ConfigError.

    `5` is 1 to 5; `3,7` is these two; `3..20` is 1 to 3, and then up to 20. reserved: those that
    rates and contenders are chosen with.
    """
    if ".." in text:
        numbers = re.fullmatch(r"(\d{1,5})\.\.(\d{1,5})", text)
        if not numbers or not 3 <= (first := int(numbers[1])) < (last := int(numbers[2])):
            raise ConfigError(
                f"seeds={text} must go from 3 or more to a larger number, such as seeds=3..20"
            )
        return _checked(tuple(range(1, last + 1)), text, reserved), first
    found = _listed(text, reserved)
    return found, len(found)


def _listed(text: str, reserved: Set[int]) -> tuple[int, ...]:
    parts = text.strip("[]").split(",")
    if not all(re.fullmatch(r"\d{1,18}", part) for part in parts):
        raise ConfigError(
            f"seeds={text} must be how many, such as 5, which, such as 1,2,3, or "
            "from how many to how many, such as 3..20"
        )
    numbers = tuple(int(part) for part in parts)
    seeds = numbers if len(numbers) > 1 or "[" in text else tuple(range(1, numbers[0] + 1))
    if not seeds:
        raise ConfigError("seeds=0 must be at least 1; 5 is a good number")
    return _checked(seeds, text, reserved)


def _checked(seeds: tuple[int, ...], text: str, reserved: Set[int]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds={text}: one is given twice; name each once")
    if taken := set(seeds) & reserved:
        raise ConfigError(
            f"seeds={text}: {min(taken)} is one of the seeds that rates and contenders are "
            "chosen with; choose others"
        )
    return seeds
