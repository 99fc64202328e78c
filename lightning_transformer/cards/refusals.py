"""What an option cannot be combined with: a table that `make docs` learns from the code."""

import json
from functools import cache
from pathlib import Path

# Written by tests/contracts/conformance/learn.py: to learn it takes models of all options.
FILE = Path(__file__).with_name("refusals.json")


def refusals(group: str, name: str) -> list[str]:
    """One line for each reason: the models and other options, and the message of the refusal."""
    return _table().get(f"{group}={name}", [])


@cache
def _table() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
