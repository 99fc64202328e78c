"""norm=l2norm and qk_norm=l2norm."""

import pytest
import torch
from transformers.models.llama4.modeling_llama4 import Llama4TextL2Norm

from lightning_transformer.nn.norm.l2norm import L2Norm
from tests.conftest import noise


def test_formula_by_hand() -> None:
    # |x|^2 = 25; with dim * eps = 24 the divisor is 7
    norm = L2Norm(2, length=14.0, eps=12.0)
    y = norm(torch.tensor([3.0, -4.0], dtype=torch.float64))
    torch.testing.assert_close(y, torch.tensor([6.0, -8.0]).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("length", "wanted"), [(None, 4.0), (1.0, 1.0), (0.3, 0.3)])
def test_every_vector_gets_the_length(length: float | None, wanted: float) -> None:
    y = L2Norm(16, length=length, eps=1e-12)(100 * noise(5, 16))
    lengths = torch.full((5,), wanted, dtype=torch.float64)
    torch.testing.assert_close(y.norm(dim=-1), lengths, rtol=1e-10, atol=0)


def test_as_in_llama_4() -> None:
    x = noise(3, 5, 32).float()
    torch.testing.assert_close(L2Norm(32)(x), Llama4TextL2Norm(eps=1e-6)(x), rtol=1e-6, atol=1e-6)


def test_learns_nothing() -> None:
    assert list(L2Norm(4).parameters()) == []


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan")])
def test_refuses_length(length: float) -> None:
    with pytest.raises(ValueError, match=r"^length=.* must be a positive number, for example 1.0$"):
        L2Norm(4, length=length)


def test_refuses_eps() -> None:
    with pytest.raises(ValueError, match=r"^eps=0.0 must be a positive number, for example 1e-06$"):
        L2Norm(4, eps=0.0)
