"""Splitting into heads: layout, the way back, and widths that do not divide."""

import pytest
import torch

from lightning_transformer.nn.heads import head_width, join_heads, split_heads


def test_each_head_takes_consecutive_features() -> None:
    x = torch.arange(2 * 3 * 8).view(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 2, 3, 4)
    assert torch.equal(heads[1, 1, 2], x[1, 2, 4:])
    assert torch.equal(join_heads(heads), x)


def test_width_of_a_head() -> None:
    assert head_width(12, 3) == 4
    with pytest.raises(ValueError, match=r"^inner=10 is not divisible .*n_heads=4; nearest 8 or 1"):
        head_width(10, 4, "inner")
    with pytest.raises(ValueError, match=r"^n_heads=0 must be at least 1"):
        head_width(10, 0)
