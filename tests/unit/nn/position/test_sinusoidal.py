"""position=sinusoidal."""

import math
from typing import Any

import pytest
import torch

from lightning_transformer.nn.position.sinusoidal import Sinusoidal
from tests.conftest import noise


def make(d_model: int = 8, **options: Any) -> Sinusoidal:
    return Sinusoidal(d_model=d_model, n_heads=2, head_dim=4, max_len=6, **options)


def paper(t: int, d_model: int, base: float) -> list[float]:
    """Section 3.5 of the paper, one number after the other."""
    row = []
    for i in range(d_model // 2):
        angle = t / base ** (2 * i / d_model)
        row += [math.sin(angle), math.cos(angle)]
    return row


@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_the_formula_of_the_paper(base: float) -> None:
    places = [0, 1, 2, 77, 2000]
    x = torch.zeros(1, 5, 8, dtype=torch.float64)
    y = make(base=base, scale=1.0).embed(x, torch.tensor(places))
    wanted = torch.tensor([[paper(t, 8, base) for t in places]], dtype=torch.float64)
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-10)


def test_waves_are_added_and_scaled() -> None:
    x, places = noise(2, 3, 8), torch.arange(3)
    one = make(scale=1.0).embed(x, places) - x
    half = make(scale=0.5).embed(x, places) - x
    torch.testing.assert_close(half, one / 2, rtol=0, atol=1e-12)


def test_bfloat16_model_has_exact_waves() -> None:
    """Frequencies and angles of a model in bfloat16 would be off by whole turns."""
    position = make(d_model=32, scale=1.0).bfloat16()
    places = torch.arange(4000)
    y = position.embed(torch.zeros(1, 4000, 32, dtype=torch.bfloat16), places)
    exact = make(d_model=32, scale=1.0).embed(torch.zeros(1, 4000, 32), places)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, rtol=0, atol=4e-3)


def test_autocast_does_not_round_the_angles() -> None:
    x, places = torch.zeros(1, 3, 8), torch.tensor([0, 1000, 4001])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = make().embed(x, places)
    torch.testing.assert_close(y, make().embed(x, places), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"d_model": 7}, "position=sinusoidal needs an even d_model, got 7; try 8"),
        ({"base": 0.0}, "base=0.0 must be a positive number"),
        ({"scale": -1.0}, "scale=-1.0 must be a positive number"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make(**options)
