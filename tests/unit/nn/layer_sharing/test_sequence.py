"""layer_sharing=sequence."""

import pytest

from lightning_transformer.nn.layer_sharing.sequence import SharedSequence


@pytest.mark.parametrize(
    ("n_blocks", "n_layers", "order"),
    [
        (1, 3, (0, 0, 0)),
        (2, 4, (0, 0, 1, 1)),
        (3, 3, (0, 1, 2)),
        (2, 5, (0, 0, 0, 1, 1)),
        (3, 7, (0, 0, 0, 1, 1, 2, 2)),
    ],
)
def test_neighbours_share(n_blocks: int, n_layers: int, order: tuple[int, ...]) -> None:
    assert SharedSequence(n_blocks).order(n_layers) == order


def test_groups_of_albert() -> None:
    """Its own rule, int(i / (n_layers / n_groups)), wherever that divides."""
    for n_blocks, n_layers in ((1, 12), (2, 12), (3, 12), (4, 24)):
        wanted = tuple(int(i / (n_layers / n_blocks)) for i in range(n_layers))
        assert SharedSequence(n_blocks).order(n_layers) == wanted


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_blocks=0 must be at least 1, for example 1$"):
        SharedSequence(0)
    with pytest.raises(ValueError, match=r"^n_blocks=3 must be at most 2, for example 2$"):
        SharedSequence(3).order(2)
