"""layer_sharing=looped."""

import pytest

from lightning_transformer.nn.layer_sharing.looped import Looped


@pytest.mark.parametrize(
    ("n_loops", "n_layers", "order"),
    [(1, 3, (0, 1, 2)), (2, 2, (0, 1, 0, 1)), (3, 1, (0, 0, 0))],
)
def test_over_and_over(n_loops: int, n_layers: int, order: tuple[int, ...]) -> None:
    assert Looped(n_loops).order(n_layers) == order


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_loops=0 must be at least 1, for example 1$"):
        Looped(0)
    with pytest.raises(ValueError, match=r"^n_loops=1001 must be at most 1000, for example 1000$"):
        Looped(1001)
