"""norm=rmsnorm and qk_norm=rmsnorm."""

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # mean of squares 12.5; eps 12.5 makes the divisor 5
    norm = RMSNorm(2, eps=12.5).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 10.0]))
    y = norm(torch.tensor([3.0, -4.0], dtype=torch.float64))
    torch.testing.assert_close(
        y, torch.tensor([0.6, -8.0], dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_scale_of_the_input_does_not_matter() -> None:
    x, norm = noise(5, 16), RMSNorm(16, eps=1e-12).double()
    torch.testing.assert_close(norm(1000 * x), norm(x), rtol=0, atol=1e-9)


def test_mean_is_not_taken_off() -> None:
    y = RMSNorm(8).double()(torch.full((8,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(y, torch.ones(8).double(), rtol=0, atol=1e-6)


def test_bfloat16_is_computed_in_float32() -> None:
    # 300 squared is fine in bfloat16, but a sum of 4096 such squares is not exact there.
    x = (300 * noise(4096)).bfloat16()
    wanted = x.double() / (x.double().square().mean() + 1e-6).sqrt()
    y = RMSNorm(4096).bfloat16()(x)
    torch.testing.assert_close(y.double(), wanted, rtol=2**-8, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unit_offset_is_that_of_gemma(dtype: torch.dtype) -> None:
    norm, gemma = RMSNorm(16, unit_offset=True).to(dtype), GemmaRMSNorm(16).to(dtype)
    assert not norm.weight.any()
    x = noise(5, 16).to(dtype)
    assert torch.equal(norm(x), RMSNorm(16).to(dtype)(x))
    for parameter in (norm.weight, gemma.weight):
        parameter.data = (0.01 * noise(16, seed=1)).to(dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 0.0
    torch.testing.assert_close(norm(x), gemma(x), rtol=tolerance, atol=tolerance)


def test_unit_offset_keeps_float64() -> None:
    norm = RMSNorm(2, eps=12.5, unit_offset=True).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.0, 9.0]))
    y = norm(torch.tensor([3.0, -4.0], dtype=torch.float64))
    wanted = torch.tensor([0.6, -8.0], dtype=torch.float64)
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, -1.0, float("inf")])
def test_refuses_eps(eps: float) -> None:
    with pytest.raises(ValueError, match=r"^eps=.* must be a positive number, for example 1e-06$"):
        RMSNorm(4, eps=eps)


@pytest.mark.parametrize("unit_offset", [False, True])
@pytest.mark.filterwarnings("error")
def test_autocast_leaves_numbers_of_two_dtypes(unit_offset: bool) -> None:
    """For which torch has no kernel, and warns that it takes single operations."""
    x, norm = noise(3, 64).bfloat16(), RMSNorm(64, unit_offset=unit_offset)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 64))
    gain = norm.weight.double() + unit_offset
    wanted = x.double() / (x.double().square().mean(1, keepdim=True) + 1e-6).sqrt() * gain
    y = norm(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), wanted, rtol=2**-8, atol=0)
