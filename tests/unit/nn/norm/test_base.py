"""The root-mean-square norm with a gradient of its own on a CPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.norm import base as module
from lightning_transformer.nn.norm.base import rms_norm
from tests.conftest import noise


@pytest.fixture(autouse=True)
def always_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FUSED_FROM", 0)


@pytest.mark.parametrize("weighted", [True, False])
def test_values_and_gradients_are_torchs(weighted: bool) -> None:
    x = noise(3, 5, 2, 16).transpose(1, 2).requires_grad_()
    weight = (1 + noise(16, seed=1)).requires_grad_() if weighted else None
    dy = noise(3, 2, 5, 16, seed=2)
    inputs = [x] if weight is None else [x, weight]
    y, wanted = rms_norm(x, weight, 1e-2), F.rms_norm(x, (16,), weight, 1e-2)
    assert type(y.grad_fn).__name__ == "_RMSNormBackward"
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-10)
    for found, due in zip(
        torch.autograd.grad(y, inputs, dy), torch.autograd.grad(wanted, inputs, dy), strict=True
    ):
        torch.testing.assert_close(found, due, rtol=0, atol=1e-10)


@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_of_both_orders(weighted: bool) -> None:
    x = noise(2, 3).requires_grad_()
    weight = (1 + noise(3, seed=1)).requires_grad_() if weighted else None

    def norm(x: Tensor) -> Tensor:
        return rms_norm(x, weight, 1e-3)

    assert torch.autograd.gradcheck(norm, x)
    assert torch.autograd.gradgradcheck(norm, x)
    if weight is not None:

        def gain(weight: Tensor) -> Tensor:
            return rms_norm(x, weight, 1e-3)

        assert torch.autograd.gradcheck(gain, weight)
        assert torch.autograd.gradgradcheck(gain, weight)


def test_only_what_is_trained_gets_a_gradient() -> None:
    x, weight = noise(4, 8), torch.ones(8, dtype=torch.float64, requires_grad=True)
    rms_norm(x, weight, 1e-6).sum().backward()
    wanted = F.rms_norm(x, (8,), eps=1e-6).sum(0)
    torch.testing.assert_close(weight.grad, wanted, rtol=0, atol=1e-12)
    x, weight = x.requires_grad_(), weight.detach()
    rms_norm(x, weight, 1e-6).sum().backward()
    assert x.grad is not None
    assert weight.grad is None


def test_bfloat16_under_autocast_is_rounded_once() -> None:
    """To the nearest bfloat16, or its neighbour where float32 was off at the border: 2^-8."""
    x = noise(6, 64).bfloat16().requires_grad_()
    weight = torch.linspace(0.5, 2, 64, requires_grad=True)
    dy = noise(6, 64, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = rms_norm(x, weight, 1e-6)
    found = torch.autograd.grad(y, (x, weight), dy)
    exact = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    wanted = F.rms_norm(exact[0], (64,), exact[1], 1e-6)
    dx, dweight = torch.autograd.grad(wanted, exact, dy.double())
    assert (y.dtype, found[0].dtype, found[1].dtype) == (x.dtype, x.dtype, weight.dtype)
    torch.testing.assert_close(y.double(), wanted, rtol=2**-8, atol=0)
    torch.testing.assert_close(found[0].double(), dx, rtol=2**-8, atol=1e-6)
    torch.testing.assert_close(found[1].double(), dweight, rtol=1e-5, atol=1e-5)


def test_small_inputs_and_evaluation_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FUSED_FROM", 33)
    x, weight = noise(2, 16).requires_grad_(), torch.ones(16).double()
    assert "RMSNormBackward" not in type(rms_norm(x, weight, 1e-6).grad_fn).__name__
    with torch.no_grad():
        assert torch.equal(rms_norm(x, weight, 1e-6), F.rms_norm(x, (16,), weight, 1e-6))
