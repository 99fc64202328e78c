"""How large the share of each part of a mixture is: by weight, by tokens, or by temperature."""

import math
from collections.abc import Mapping
from fractions import Fraction

from lightning_transformer.config.mixture_parts import PartConfig
from lightning_transformer.nn import checks

PARTS_OF = 10**6
"""Shares by temperature are whole numbers of millionths, the same on every machine."""
CHOOSE = (
    "give every part a weight (data.parts.NAME.weight=3), or every part its tokens of the run "
    "(data.parts.NAME.tokens=1000000), or set data.temperature=1 for shares by size"
)


def check_shares(parts: Mapping[str, PartConfig], temperature: float | None) -> None:
    """Refuse shares that are given in two ways, in none, or for some parts only; ValueError."""
    given = {key: [n for n in parts if getattr(parts[n], key)] for key in ("weight", "tokens")}
    for name, part in parts.items():
        key = f"data.parts.{name}"
        if part.weight is not None:
            checks.positive(f"{key}.weight", part.weight, 3)
        if part.tokens is not None:
            checks.at_least(f"{key}.tokens", part.tokens, 1, 1_000_000)
        if part.max_epochs is not None:
            checks.positive(f"{key}.max_epochs", part.max_epochs, 4)
    ways = [key for key, names in given.items() if names]
    if temperature is not None:
        checks.positive("data.temperature", temperature, 3)
        ways.append("temperature")
    if not ways:
        raise ValueError(f"data.parts say nothing of their shares; {CHOOSE}")
    if len(ways) > 1:
        raise ValueError(f"data.parts have {' and '.join(ways)}, of which one is enough; {CHOOSE}")
    if temperature is None:
        way, lacking = ways[0], [name for name in parts if name not in given[ways[0]]]
        if lacking:
            value = getattr(parts[given[way][0]], way)
            raise ValueError(
                f"data.parts.{lacking[0]}.{way} has no value, but other parts have one; add it, "
                f"such as +data.parts.{lacking[0]}.{way}={value}"
            )


def quota_weights(
    parts: Mapping[str, PartConfig],
    temperature: float | None,
    n_examples: Mapping[str, int],
    n_tokens: Mapping[str, int],
) -> list[int]:
    """Whole numbers (n_parts,) in proportion to the examples of each part.

    By weight: the weights. By tokens: those, divided by the mean tokens of an example. By
    temperature T: n_examples^(1 / T), rounded to millionths of their sum, as for languages of very
    different size (Arivazhagan et al. 2019).
    """
    if temperature is not None:
        logs = {name: math.log(n) / temperature for name, n in n_examples.items()}
        raised = {name: math.exp(value - max(logs.values())) for name, value in logs.items()}
        total = sum(raised.values())
        return [max(1, round(PARTS_OF * raised[name] / total)) for name in parts]
    if all(part.weight is not None for part in parts.values()):
        exact = [Fraction(str(part.weight)) for part in parts.values()]
        common = math.lcm(*(weight.denominator for weight in exact))
        whole = [int(weight * common) for weight in exact]
        return [weight // math.gcd(*whole) for weight in whole]
    return [examples_of(part, n_examples[n], n_tokens[n]) for n, part in parts.items()]


def examples_of(part: PartConfig, n_examples: int, n_tokens: int) -> int:
    """How many examples have the tokens that a part is to give; at least 1."""
    assert part.tokens is not None
    return max(1, round(Fraction(part.tokens * n_examples, n_tokens)))
