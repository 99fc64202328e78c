"""pattern=dilated."""

import pytest

from lightning_transformer.nn.pattern.base import Causal
from lightning_transformer.nn.pattern.dilated import Dilated
from tests.unit.nn.pattern.drawn import drawn


def test_every_second_key_within_the_reach() -> None:
    assert drawn(Dilated(window=4, dilation=2), 6) == (
        "x.x...\n.x.x..\nx.x.x.\n.x.x.x\n..x.x.\n...x.x"
    )


def test_every_third_key_of_the_past() -> None:
    seen = drawn(Dilated(window=7, dilation=3) & Causal(), 9).split("\n")
    assert seen[6:] == ["x..x..x..", ".x..x..x.", "..x..x..x"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"dilation": 1}, "dilation=1 must be at least 2"),
        ({"window": 2}, "window=2 must be above dilation 2, or a query sees only itself"),
    ],
)
def test_refuses(options: dict[str, int], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        Dilated(**options)
