"""What `compare run` asks of programs that load torch: can a variant run, how fast, how large."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from lightning_transformer.compare.run.outcome import Price
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.variants import Matched, first_values, other_values
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.typed_json import from_json

SOLVE = "lightning_transformer.compare.run.match.solve"
CHECK = "lightning_transformer.compare.run.check"
Ask = Callable[[str, dict[str, Any]], Any]  # a module and a question
Examine = Callable[[Plan, Ask, Sequence[str]], dict[str, Price]]


def examine(plan: Plan, ask: Ask, known: Sequence[str] = ()) -> dict[str, Price]:
    """How long the jobs of each variant take; ConfigError with all that cannot run, a line each.

    known: variants that have been examined before.
    """
    new = [variant for variant in plan.variants if variant.label not in known]
    variants = {v.label: [*v.overrides, *first_values(v.tuned)] for v in new}
    question = {
        "config_dirs": plan.request.config_dirs,
        "variants": variants,
        "also": {
            ",".join([v.label, *more]): [*v.overrides, *more]
            for v in new
            for more in other_values(v.tuned)
        },
    }
    answer = ask(CHECK, question)
    errors = [f"{label}: {error}" for label, error in answer["errors"].items()]
    if len(errors) > 1:
        what = f"{len(errors)} of {len(variants)} variants cannot run"
        raise ConfigError("\n  ".join([what, *errors]))
    if errors:
        raise ConfigError(errors[0])
    return from_json(dict[str, Price], answer["prices"])


def solve(plan: Plan, ask: Ask, console: Console) -> dict[str, Matched]:
    """What each variant needs to be like the baseline; see solve.py. Raises ConfigError."""
    console.print(f"match     {plan.baseline.axis}: solving for {len(plan.variants)} variants")
    question = {
        "config_dirs": plan.request.config_dirs,
        "baseline": [*plan.baseline.overrides, *first_values(plan.baseline.tuned)],
        "variants": {v.label: [*v.overrides, *first_values(v.tuned)] for v in plan.variants},
    }
    answer = ask(SOLVE, question)
    if "error" in answer:
        raise ConfigError(answer["error"])
    found: dict[str, Matched] = from_json(dict[str, Matched], answer)
    return found


def ask(module: str, question: dict[str, Any], env: dict[str, str] | None = None) -> Any:
    """The answer of a program that loads torch, as JSON; the last line that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{module} ended with {done.returncode}")
    return json.loads(lines[-1])
