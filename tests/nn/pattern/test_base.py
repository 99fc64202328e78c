"""Patterns in general: the causal one, and two at once."""

from lightning_transformer.nn.pattern.base import And, Causal
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from tests.nn.pattern.drawn import drawn


def test_causal() -> None:
    assert drawn(Causal(), 4) == "x...\nxx..\nxxx.\nxxxx"


def test_and_is_both() -> None:
    assert drawn(SlidingWindow(2) & Causal(), 4) == "x...\nxx..\n.xx.\n..xx"


def test_equal_patterns_are_equal_values() -> None:
    assert SlidingWindow(3) & Causal() == And(SlidingWindow(3), Causal())
    assert hash(SlidingWindow(3) & Causal()) == hash(SlidingWindow(3) & Causal())
    assert SlidingWindow(3) & Causal() != SlidingWindow(4) & Causal()
