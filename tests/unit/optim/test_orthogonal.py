"""Muon's step on stacks of matrices, against torch's on each, singular values and float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.optim import orthogonal
from lightning_transformer.optim.orthogonal import StackedMuon, newton_schulz, newton_schulz_dtype

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
OPTIONS: dict[str, Any] = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.1}
SHAPES = [(8, 8), (12, 5), (8, 8), (5, 12), (12, 5), (8, 8)]
BF16 = 2**-8  # the distance of two numbers below 1, of which sums of products keep a few


def matrix(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(matrix(shape, i).float()) for i, shape in enumerate(SHAPES)]


def trained(optimizer: torch.optim.Optimizer, n_steps: int = 3) -> list[Tensor]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for step in range(n_steps):
        for number, p in enumerate(parameters):
            p.grad = matrix(tuple(p.shape), 100 * step + number + 50).float()
        optimizer.step()
    return [p.detach() for p in parameters]


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_one_matrix_gives_the_bits_of_torch(shape: tuple[int, int]) -> None:
    w = nn.Parameter(torch.zeros(shape))
    w.grad = matrix(shape, 1).float()
    torch.optim.Muon([w], lr=1.0, momentum=0.0, weight_decay=0.0).step()
    own = newton_schulz(w.grad.bfloat16(), COEFFICIENTS, 5, 1e-7)
    scale = max(1, shape[0] / shape[1]) ** 0.5
    assert torch.equal(torch.zeros(shape).add_(own, alpha=-scale), w.detach())


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_a_stack_in_float64_is_each_matrix_by_itself(shape: tuple[int, int]) -> None:
    """Against the polynomial of singular values, which needs no product of matrices."""
    stack = matrix((3, *shape), 2)
    for one, found in zip(stack, newton_schulz(stack, COEFFICIENTS, 5, 1e-7), strict=True):
        u, s, vt = torch.linalg.svd(one / one.norm(), full_matrices=False)
        for _ in range(5):
            s = COEFFICIENTS[0] * s + COEFFICIENTS[1] * s**3 + COEFFICIENTS[2] * s**5
        torch.testing.assert_close(found, u @ s.diag() @ vt, rtol=0, atol=1e-9)
        alone = newton_schulz(one, COEFFICIENTS, 5, 1e-7)
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-9)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert not newton_schulz(torch.zeros(2, 3, 4), COEFFICIENTS, 5, 1e-7).any()


def test_steps_are_those_of_torch_but_for_rounding() -> None:
    own = trained(StackedMuon(weights(), **OPTIONS))
    for a, b in zip(own, trained(torch.optim.Muon(weights(), **OPTIONS)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=3 * 0.5 * 8 * BF16)
    for a, b in zip(own, weights(), strict=True):
        assert (a - b).abs().max() > 0.1


def test_matrices_of_one_shape_are_stacked_as_far_as_they_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, ...]] = []

    def counted(x: Tensor, *options: Any) -> Tensor:
        seen.append(tuple(x.shape))
        return newton_schulz(x, *options)

    monkeypatch.setattr(orthogonal, "newton_schulz", counted)
    trained(StackedMuon(weights(), **OPTIONS), 1)
    assert seen == [(3, 8, 8), (2, 12, 5), (5, 12)]
    seen.clear()
    monkeypatch.setattr(orthogonal, "_STACK_CPU", 2 * 64)
    trained(StackedMuon(weights(), **OPTIONS), 1)
    assert seen == [(2, 8, 8), (8, 8), (2, 12, 5), (5, 12)]


def test_a_processor_without_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(orthogonal.processor, "has_bf16", lambda: True)
    assert newton_schulz_dtype(cpu) == torch.bfloat16
    monkeypatch.setattr(orthogonal.processor, "has_bf16", lambda: False)
    assert newton_schulz_dtype(cpu) == torch.float32
    assert newton_schulz_dtype(torch.device("cuda")) == torch.bfloat16
    (w,) = trained(StackedMuon([nn.Parameter(torch.zeros(8, 8))], lr=1.0, weight_decay=0.0), 1)
    exact = newton_schulz(matrix((8, 8), 50), COEFFICIENTS, 5, 1e-7)
    torch.testing.assert_close(w.double(), -exact, rtol=0, atol=1e-5)
