"""The output layer, its soft-cap and its scale; see also tests/unit/tasks/test_softcap.py."""

import math

import pytest
import torch
from torch import nn

from lightning_transformer.nn.linear import Head
from tests.conftest import noise


def drawn(softcap: float | None, *, bias: bool = True) -> Head:
    head = Head(8, 5, bias=bias, softcap=softcap).double()
    with torch.no_grad():
        for number, parameter in enumerate(head.parameters()):
            parameter.copy_(2 * noise(*parameter.shape, seed=number))
    return head


def test_without_a_cap_it_is_a_linear_layer_bit_by_bit() -> None:
    head, plain, x = drawn(None), nn.Linear(8, 5).double(), noise(3, 8, seed=9)
    plain.load_state_dict(head.state_dict())
    assert torch.equal(head(x), plain(x))


@pytest.mark.parametrize("cap", [0.5, 3.0])
def test_scores_are_capped_one_by_one(cap: float) -> None:
    head, x = drawn(cap), noise(3, 8, seed=9)
    plain = x @ head.weight.T + head.bias
    wanted = [[cap * math.tanh(z / cap) for z in row] for row in plain.tolist()]
    assert plain.abs().max() > cap
    exact = torch.tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(head(x), exact, rtol=0, atol=1e-12)


def test_gradient() -> None:
    assert torch.autograd.gradcheck(drawn(2.0), noise(3, 8).requires_grad_())


def test_bfloat16_scores_are_capped_in_float32() -> None:
    head, x = drawn(2.0, bias=False).bfloat16(), noise(3, 8).bfloat16()
    scores = head(x)
    assert scores.dtype == torch.float32
    plain = nn.functional.linear(x, head.weight).double()
    wanted = 2 * torch.tanh(plain / 2)
    torch.testing.assert_close(scores.double(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cap", [0.0, -30.0, float("inf"), float("nan")])
def test_refuses(cap: float) -> None:
    with pytest.raises(ValueError, match=r"^softcap=.* must be a positive number, for example 30"):
        Head(8, 5, softcap=cap)


@pytest.mark.parametrize("cap", [None, 2.0])
def test_scores_are_scaled_by_a_learned_factor_each(cap: float | None) -> None:
    head = Head(16, 5, bias=False, score_scale=0.5, softcap=cap).double()
    factors, x = noise(5, seed=1), noise(3, 16, seed=9)
    with torch.no_grad():
        assert head.score_scale is not None
        torch.testing.assert_close(head.score_scale(), torch.full((5,), 0.125).double())
        head.score_scale.weight.copy_(factors / 0.5)  # start / scale = 0.5
        head.weight.copy_(noise(5, 16))
        wanted = factors * (x @ head.weight.T)
    wanted = wanted if cap is None else cap * torch.tanh(wanted / cap)
    torch.testing.assert_close(head(x), wanted, rtol=0, atol=1e-12)


def test_refuses_a_scale_of_zero() -> None:
    with pytest.raises(ValueError, match=r"^score_scale=0.0 must be a positive number"):
        Head(8, 5, score_scale=0.0)
