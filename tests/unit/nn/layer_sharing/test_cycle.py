"""layer_sharing=cycle."""

import pytest

from lightning_transformer.nn.layer_sharing.cycle import Cycle


@pytest.mark.parametrize(
    ("n_blocks", "n_layers", "order"),
    [(1, 3, (0, 0, 0)), (2, 4, (0, 1, 0, 1)), (3, 3, (0, 1, 2)), (2, 5, (0, 1, 0, 1, 0))],
)
def test_in_turn(n_blocks: int, n_layers: int, order: tuple[int, ...]) -> None:
    assert Cycle(n_blocks).order(n_layers) == order


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_blocks=0 must be at least 1, for example 1$"):
        Cycle(0)
    with pytest.raises(ValueError, match=r"^n_blocks=3 must be at most 2, for example 2$"):
        Cycle(3).order(2)
