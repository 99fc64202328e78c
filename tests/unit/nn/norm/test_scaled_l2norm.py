"""qk_norm=scaled_l2norm."""

import pytest
import torch

from lightning_transformer.nn.norm.scaled_l2norm import ScaledL2Norm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # |x|^2 = 25; with dim * eps = 24 the divisor is 7
    norm = ScaledL2Norm(2, scale=0.5, eps=12.0).double()
    norm.weight.data.copy_(torch.tensor([0.5, 1.5]))  # gains 1 and 3
    y = norm(torch.tensor([3.0, -4.0], dtype=torch.float64))
    wanted = torch.tensor([3.0, -12.0]).double() * 2**0.5 / 7
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


def test_it_computes_what_an_rmsnorm_does() -> None:
    x, plain = noise(3, 5, 16), torch.nn.RMSNorm(16, eps=1e-6).double()
    plain.weight.data.copy_(noise(16, seed=1))
    norm = ScaledL2Norm(16).double()
    norm.weight.data.copy_(plain.weight / 4)
    torch.testing.assert_close(norm(x), plain(x), rtol=0, atol=1e-12)


def test_the_gain_learns_by_one_over_the_scale() -> None:
    assert ScaledL2Norm(16).factor == 4.0
    assert ScaledL2Norm(16, scale=0.1).factor == 10.0


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"eps": 0.0}])
def test_refuses(options: dict[str, float]) -> None:
    (key,) = options
    with pytest.raises(ValueError, match=rf"^{key}=0.0 must be a positive number, for example"):
        ScaledL2Norm(4, **options)
