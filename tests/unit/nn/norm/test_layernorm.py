"""norm=layernorm."""

import pytest
import torch

from lightning_transformer.nn.norm.layernorm import LayerNorm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # mean 2.5, variance 1.25; eps 0.3125 makes the divisor 1.25
    norm = LayerNorm(4, eps=0.3125).double()
    torch.nn.init.constant_(norm.weight, 2.0)
    torch.nn.init.constant_(norm.bias, 1.0)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    wanted = torch.tensor([-1.4, 0.2, 1.8, 3.4], dtype=torch.float64)
    torch.testing.assert_close(norm(x), wanted, rtol=0, atol=1e-12)


def test_output_has_mean_zero_and_variance_one() -> None:
    y = LayerNorm(64).double()(5 + 3 * noise(7, 64))
    torch.testing.assert_close(y.mean(-1), torch.zeros(7).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(y.var(-1, unbiased=False), torch.ones(7).double(), rtol=0, atol=1e-5)


def test_bias_can_be_left_out() -> None:
    assert [n for n, _ in LayerNorm(4, bias=False).named_parameters()] == ["weight"]
    assert [n for n, _ in LayerNorm(4).named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize("eps", [0.0, -1e-5, float("nan")])
def test_refuses_eps(eps: float) -> None:
    with pytest.raises(ValueError, match=r"^eps=.* must be a positive number, for example 1e-05$"):
        LayerNorm(4, eps=eps)
