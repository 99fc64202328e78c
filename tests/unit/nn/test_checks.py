"""Range checks: what passes, what is refused, and in which words."""

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
        (lambda: checks.positive("a", INF, 1.0), "a=inf must be a positive number"),
        (lambda: checks.not_negative("b", -1, 0.5), "b=-1 must be zero or above, for example 0.5"),
        (lambda: checks.not_negative("b", NAN, 0.5), "b=nan must be zero or above"),
        (lambda: checks.fraction("c", 1.0), "c=1.0 must be at least 0 and below 1, for example"),
        (lambda: checks.fraction("c", -0.1), "c=-0.1 must be at least 0 and below 1"),
        (lambda: checks.fraction("c", NAN), "c=nan must be at least 0 and below 1"),
        (lambda: checks.number_from("e", 0.9, 1.0), "e=0.9 must be a number from 1.0 on"),
        (lambda: checks.number_from("e", INF, 1.0), "e=inf must be a number from 1.0 on"),
        (lambda: checks.at_least("d", 0, 1), "d=0 must be at least 1"),
    ],
)
def test_refuses_in_one_line(check: Callable[[], None], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}") as caught:
        check()
    assert "\n" not in str(caught.value)


def test_limits_that_are_allowed() -> None:
    checks.not_negative("b", 0, 1.0)
    checks.fraction("c", 0.0)
    checks.fraction("c", 0.999)
    checks.at_least("d", 1, 1)
