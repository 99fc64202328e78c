"""pattern=full."""

from lightning_transformer.nn.pattern.base import Causal
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from tests.unit.nn.pattern.drawn import drawn


def test_every_key() -> None:
    assert drawn(Full(), 3) == "xxx\nxxx\nxxx"


def test_with_another_pattern_only_the_other_is_left() -> None:
    assert Full() & Causal() == Causal()  # so that a causal stack can ask for the kernel's triangle
    assert Full() & SlidingWindow(2) == SlidingWindow(2)
