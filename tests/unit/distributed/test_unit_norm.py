"""Vectors of length 1. Of matrices that are cut over processes: tests/contracts/test_parity*."""

import pytest
import torch

from lightning_transformer.distributed.unit_norm import normalise_
from tests.conftest import noise


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_vector_is_divided_by_its_length(dim: int, dtype: torch.dtype) -> None:
    weight = (3 * noise(7, 300)).to(dtype)
    before, same = weight.double(), weight
    normalise_(weight, dim)
    wanted = before / before.square().sum(dim, keepdim=True).sqrt()
    tolerance = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(weight.double(), wanted, rtol=tolerance, atol=0)
    assert weight is same


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_twice_is_once_to_the_bit(dtype: torch.dtype) -> None:
    for size in (3, 100, 3000):
        weight = noise(50, size).to(dtype)
        normalise_(weight, 1)
        once = weight.clone()
        normalise_(weight, 1)
        assert torch.equal(weight, once)


def test_a_length_that_is_off_by_more_than_rounding_is_mended() -> None:
    weight = torch.tensor([[0.6, 0.8]], dtype=torch.float64) * (1 + 1e-13)
    normalise_(weight, 1)
    assert abs(float(weight.norm()) - 1) < 1e-15


def test_zeros_stay() -> None:
    weight = torch.zeros(2, 3)
    normalise_(weight, 1)
    assert not weight.any()


def test_a_weight_that_learns_is_taken() -> None:
    weight = torch.nn.Parameter(2 * noise(3, 4))
    normalise_(weight, 1)
    assert weight.requires_grad
    assert weight.grad_fn is None
