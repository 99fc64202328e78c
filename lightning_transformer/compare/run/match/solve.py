"""`python -m lightning_transformer.compare.run.match.solve`: solve for equal sizes or steps.

A process of its own, because it builds models and `compare run` loads no torch. Reads JSON from
its input: config_dirs, baseline (overrides), variants (label to overrides). Prints JSON: label to
{changes, residual}, or {"error": one line}.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from lightning_transformer.build import build
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.errors import ConfigError


def solve(question: dict[str, Any]) -> dict[str, Any]:
    """label -> changes and residual. Raises ConfigError in one line that names the variant."""
    register()
    with composer(question["config_dirs"]):
        baseline = composed(question["baseline"])
        variants = {label: composed(typed) for label, typed in question["variants"].items()}
    found = {}
    for label, cfg in variants.items():
        if question["variants"][label] == question["baseline"]:  # itself, or its placebo
            found[label] = asdict(Matched())
            continue
        try:
            found[label] = asdict(build(cfg, "match")(cfg, baseline))
        except ValueError as error:
            raise ConfigError(f"{label}: {' '.join(str(error).split())}") from None
    return found


def main() -> None:
    try:
        answer = solve(json.load(sys.stdin))
    except ConfigError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
