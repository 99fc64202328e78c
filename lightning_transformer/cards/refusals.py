"""What an option cannot be combined with. The list is learned from the code and held by tests."""

import json
from collections import defaultdict
from pathlib import Path

FILE = Path(__file__).with_name("refused.json")


def refusals(group: str, name: str) -> list[str]:
    """One line for each reason: the models and other options, and what is said of them."""
    content: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
    others: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    alone: dict[str, set[str]] = defaultdict(set)
    for model, found in content.items():
        for key, said in found.items():
            choices = key.split()
            if f"{group}={name}" not in choices:
                continue
            if len(choices) == 1:
                alone[said].add(model)
            else:
                other = next(c for c in choices if c != f"{group}={name}")
                others[said][other].add(model)
    lines = [f"model={','.join(sorted(models))}: {said}" for said, models in alone.items()]
    lines += [f"{', '.join(sorted(found))}: {said}" for said, found in others.items()]
    return sorted(lines)
