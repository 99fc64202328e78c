"""Whether lower or higher values of a metric are better."""

from __future__ import annotations

import pytest

from lightning_transformer.runs.metric_direction import lower_is_better, mode_of


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("val/loss", True),
        ("val/bits_per_byte", True),
        ("test/accuracy", False),
        ("val/chrf_of_source", False),
        ("test/ter", True),
        ("test/rougel", False),
        ("test/mcc", False),
        ("test/auroc", False),
        ("test/brier", True),
        ("test/f1_weighted", False),
        ("test/span_f1_strict", False),
        ("val/after", None),
        ("loss/zeal", None),
    ],
)
def test_the_last_part_of_the_name_tells(metric: str, lower: bool | None) -> None:
    assert lower_is_better(metric) is lower


def test_a_given_mode_holds_and_a_name_that_tells_nothing_is_refused() -> None:
    assert mode_of("val/loss", None, "k") == "min"
    assert mode_of("val/f1", None, "k") == "max"
    assert mode_of("val/f1", "min", "k") == "min"
    with pytest.raises(ValueError, match=r"^k=up must be min, max or null"):
        mode_of("val/loss", "up", "k")
    with pytest.raises(ValueError, match=r"^k=null does not tell which values of val/zeal are bet"):
        mode_of("val/zeal", None, "k")
