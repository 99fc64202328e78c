"""Dataclasses from JSON: what fits is read, what does not is named in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.runs.typed_json import read_typed


@dataclass
class Inner:
    step: int
    loss: float | None


@dataclass
class Outer:
    name: str
    parts: dict[str, list[Inner]]
    free: dict[str, Any]


GOOD: dict[str, Any] = {
    "schema": 3,
    "name": "x",
    "parts": {"a": [{"step": 1, "loss": 2}, {"step": 2, "loss": None}]},
    "free": {"b": [1, "c"]},
    "of a newer version": 1,
}


def read(tmp_path: Path, content: object) -> Outer:
    file = tmp_path / "file.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_typed(Outer, file, 3)


def test_nested_values_are_read_with_their_types(tmp_path: Path) -> None:
    expected = Outer("x", {"a": [Inner(1, 2), Inner(2, None)]}, {"b": [1, "c"]})
    assert read(tmp_path, GOOD) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not of schema 3"),
        ({**GOOD, "schema": 2}, "is not of schema 3"),
        ({**GOOD, "name": 1}, "name=1 must be text"),
        ({**GOOD, "parts": []}, "parts=[] must be an object"),
        ({**GOOD, "parts": {"a": {}}}, "parts.a={} must be a list"),
        ({**GOOD, "parts": {"a": [{"step": 1}]}}, "parts.a[0].loss is missing"),
        ({**GOOD, "parts": {"a": [{"step": True, "loss": 1.0}]}}, "parts.a[0].step=True must be"),
        (
            {**GOOD, "parts": {"a": [{"step": 1, "loss": "1"}]}},
            "parts.a[0].loss='1' must be a number or null",
        ),
        ({**GOOD, "parts": {"a": [{"step": 1, "loss": 10**400}]}}, "must be a number or null"),
        ({**GOOD, "parts": {"a": [{"step": 10**400, "loss": 1}]}}, "must be a whole number"),
        ({key: GOOD[key] for key in ("schema", "name", "parts")}, "free is missing"),
    ],
)
def test_another_shape_is_refused_in_one_line(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(ValueError, match=r"file\.json") as error:
        read(tmp_path, content)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@dataclass
class Optional:
    inner: Inner | None


def test_a_dataclass_or_null(tmp_path: Path) -> None:
    file = tmp_path / "file.json"

    def of(inner: object) -> Optional:
        file.write_text(json.dumps({"schema": 3, "inner": inner}))
        return read_typed(Optional, file, 3)

    assert of(None).inner is None
    assert of({"step": 1, "loss": None}).inner == Inner(1, None)
    with pytest.raises(ValueError, match=r"inner\.step='x' must be a whole number"):
        of({"step": "x", "loss": None})
    with pytest.raises(ValueError, match="inner=3 must be an object or null"):
        of(3)
