"""adapter=bottleneck."""

import pytest
import torch
from torch import nn

from lightning_transformer.nn.adapter.bottleneck import Bottleneck, bottleneck
from tests.conftest import noise, tiny


def test_the_formula_in_float64() -> None:
    adapter = Bottleneck(4, 3).double()
    y = noise(2, 4)
    down, up = adapter.down, adapter.up
    inner = y @ down.weight.T + down.bias
    gelu = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    expected = y + gelu @ up.weight.T + up.bias
    torch.testing.assert_close(adapter(nn.Identity(), y, y), expected, rtol=1e-12, atol=1e-12)


def test_its_size_is_as_stated() -> None:
    trained = bottleneck(tiny(), seed=1, width=3).trained
    assert trained is not None
    assert sum(p.numel() for p in trained) == 4 * (3 * (2 * 32 + 1) + 32)  # two layers of two


def test_refuses_no_width() -> None:
    with pytest.raises(ValueError, match=r"^width=0 must be at least 1"):
        bottleneck(tiny(), seed=1, width=0)
