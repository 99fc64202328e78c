"""Range checks: which values pass, which are refused, and the one wording of all refusals."""

import re
from collections.abc import Callable

import pytest

from lightning_transformer.nn import checks

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [1e-12, 1, 3.5])
def test_positive_passes(value: float) -> None:
    assert checks.positive("eps", value, 1.0) is None


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (lambda: checks.positive("a", 0, 1.0), "a=0 must be a positive number, for example 1.0"),
        (lambda: checks.positive("a", NAN, 1.0), "a=nan must be a positive number"),
        (lambda: checks.positive("a", INF, "1e-3"), "a=inf must be a positive number"),
        (lambda: checks.positive("a", "x", 1), "a='x' must be a positive number"),  # type: ignore[arg-type]
        (lambda: checks.non_negative("b", -1, 0.5), "b=-1 must be a number of at least 0"),
        (lambda: checks.non_negative("b", NAN, 0.5), "b=nan must be a number of at least 0"),
        (lambda: checks.fraction("c", 1.0), "c=1.0 must be at least 0 and below 1"),
        (lambda: checks.fraction("c", -0.1), "c=-0.1 must be at least 0 and below 1"),
        (lambda: checks.fraction("c", NAN), "c=nan must be at least 0 and below 1"),
        (lambda: checks.closed_fraction("c", 1.1, 1), "c=1.1 must be at least 0 and at most 1"),
        (lambda: checks.number_from("e", 0.9, 1.0), "e=0.9 must be a number of at least 1.0"),
        (lambda: checks.number_from("e", INF, 1.0), "e=inf must be a number of at least 1.0"),
        (lambda: checks.at_least("d", 0, 1), "d=0 must be at least 1, for example 1"),
        (lambda: checks.at_least("d", 0, 1, 16), "d=0 must be at least 1, for example 16"),
        (lambda: checks.at_least("d", 1.5, 1), "d=1.5 must be an integer of at least 1"),  # type: ignore[arg-type]
        (lambda: checks.at_least("d", True, 1), "d=True must be an integer of at least 1"),
        (lambda: checks.between("f", 9, 1, 8), "f=9 must be at most 8, for example 8"),
    ],
)
def test_refuses_in_one_line(check: Callable[[], None], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}") as caught:
        check()
    assert re.fullmatch(r"\w+=\S+ must be .+, for example \S+", str(caught.value))


def test_limits_that_are_allowed() -> None:
    checks.non_negative("b", 0, 1.0)
    checks.fraction("c", 0.0)
    checks.fraction("c", 0.999)
    checks.closed_fraction("c", 1.0, 1.0)
    checks.at_least("d", 1, 1)
    checks.between("f", 8, 1, 8)
