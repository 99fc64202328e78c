"""norm=scalenorm."""

import pytest
import torch

from lightning_transformer.nn.norm.scalenorm import ScaleNorm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # |x|^2 = 25; with dim * eps = 24 the divisor is 7
    norm = ScaleNorm(2, eps=12.0).double()
    torch.nn.init.constant_(norm.scale, 14.0)
    y = norm(torch.tensor([3.0, -4.0], dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor([6.0, -8.0]).double(), rtol=0, atol=1e-12)


def test_as_in_the_paper_away_from_zero() -> None:
    x, norm = noise(5, 16), ScaleNorm(16, eps=1e-12).double()
    torch.nn.init.constant_(norm.scale, 2.5)
    wanted = 2.5 * torch.nn.functional.normalize(x, dim=-1)
    torch.testing.assert_close(norm(x), wanted, rtol=0, atol=1e-9)


def test_starts_with_elements_of_size_one() -> None:
    norm = ScaleNorm(16)
    assert [(n, tuple(p.shape)) for n, p in norm.named_parameters()] == [("scale", (1,))]
    assert norm.scale.item() == 4.0


def test_gradient_reaches_the_scale() -> None:
    norm = ScaleNorm(4, eps=1e-12).double()
    norm(torch.tensor([2.0, 2.0, 2.0, 2.0]).double()).sum().backward()
    assert norm.scale.grad.item() == pytest.approx(2.0, abs=1e-9)  # 4 elements of scale / 2


def test_keeps_bfloat16_beside_a_float32_scale() -> None:
    assert ScaleNorm(8)(noise(3, 8).bfloat16()).dtype == torch.bfloat16


def test_refuses_eps() -> None:
    with pytest.raises(ValueError, match=r"^eps=0.0 must be a positive number, for example 1e-06$"):
        ScaleNorm(4, eps=0.0)
