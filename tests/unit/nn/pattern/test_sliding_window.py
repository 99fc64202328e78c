"""pattern=sliding_window."""

import pytest

from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from tests.unit.nn.pattern.drawn import drawn


def test_keys_nearer_than_the_window() -> None:
    assert drawn(SlidingWindow(2), 5) == "xx...\nxxx..\n.xxx.\n..xxx\n...xx"


def test_window_of_one_is_the_token_itself() -> None:
    assert drawn(SlidingWindow(1), 3) == "x..\n.x.\n..x"


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^window=0 must be at least 1, for example 1$"):
        SlidingWindow(0)
