"""position=rope_ntk."""

import pytest
import torch

from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.position.rope_ntk import RoPENTK
from tests.unit.nn.position.scaled import ours, sizes, theirs


@pytest.mark.parametrize("factor", [2.0, 8.0])
def test_frequencies_equal_those_of_transformers(factor: float) -> None:
    # Theirs follows the length of the row: twice max_len and factor f stretch by 2 f - (f - 1).
    wanted, amplitude = theirs("dynamic", 64, 512, seq_len=1024, factor=factor - 1)
    rope = RoPENTK(factor=factor, **sizes())
    torch.testing.assert_close(ours(rope).float(), wanted, rtol=1e-6, atol=0)
    assert rope.amplitude == amplitude


def test_the_slowest_pair_is_slowed_by_factor_and_the_fastest_not_at_all() -> None:
    ratio = ours(RoPE(**sizes())) / ours(RoPENTK(factor=8.0, **sizes()))
    assert float(ratio[0]) == 1.0
    assert float(ratio[-1]) == pytest.approx(8.0, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"factor": 0.5, **sizes()},
            "factor=0.5 must be a number of at least 1.0, for example 1.0",
        ),
        (
            sizes(head_dim=2),
            "position=rope_ntk needs two frequency pairs .* there are 2 numbers",
        ),
        (
            sizes(head_dim=4) | {"fraction": 0.5},
            "position=rope_ntk needs two frequency pairs in a head",
        ),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        RoPENTK(**options)
