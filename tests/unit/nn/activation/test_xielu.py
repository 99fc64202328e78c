"""activation=xielu."""

import math

import pytest
import torch
from transformers.activations import XIELUActivation

from lightning_transformer.nn.activation.xielu import XIELU
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.optim.param_groups import matrices, param_groups
from tests.conftest import noise, tiny


def by_hand(x: float, a_p: float, a_n: float, beta: float) -> float:
    return a_p * x * x + beta * x if x > 0 else a_n * (math.exp(x) - 1 - x) + beta * x


@pytest.mark.parametrize("numbers", [(0.8, 0.8, 0.5), (0.1, 2.0, 0.25)])
def test_formula_element_by_element(numbers: tuple[float, float, float]) -> None:
    a_p, a_n, beta = numbers
    xs = [-3.0, -0.5, 0.0, 0.5, 2.0, *noise(20).tolist()]
    wanted = [by_hand(x, a_p, a_n, beta) for x in xs]
    y = XIELU(a_p=a_p, a_n=a_n, beta=beta).double()(torch.tensor(xs, dtype=torch.float64))
    # The numbers that are learned begin in float32.
    torch.testing.assert_close(y, torch.tensor(wanted, dtype=torch.float64), rtol=1e-6, atol=1e-7)


def test_values_and_gradients_are_those_of_transformers() -> None:
    mine, theirs = XIELU().double(), XIELUActivation(dtype=torch.float64)
    with torch.no_grad():
        for module in (mine, theirs):
            module.alpha_p.fill_(-0.7)
            module.alpha_n.fill_(1.3)
    x = 3 * noise(200)
    x = x[x.abs() > 1e-3].requires_grad_()  # theirs is flat just left of zero
    other = x.detach().clone().requires_grad_()
    y, wanted = mine(x), theirs(other)
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)
    weights = noise(len(x), seed=1)
    (y * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=0, atol=1e-12)
    for name in ("alpha_p", "alpha_n"):
        gradient = getattr(mine, name).grad
        torch.testing.assert_close(gradient, getattr(theirs, name).grad, rtol=0, atol=1e-10)


def test_large_inputs_stay_finite() -> None:
    x = torch.tensor([-1e4, 1e4, 0.0], requires_grad=True)
    module = XIELU()
    module(x).sum().backward()
    wanted = torch.tensor([0.5 - 0.8, 0.5 + 2 * 0.8 * 1e4, 0.5])
    torch.testing.assert_close(x.grad, wanted, rtol=1e-5, atol=1e-6)
    assert module.alpha_p.grad.isfinite()
    assert module.alpha_n.grad.isfinite()


def test_keeps_bfloat16_beside_float32_parameters() -> None:
    assert XIELU()(noise(5).bfloat16()).dtype == torch.bfloat16


def test_what_it_learns_begins_alike_and_is_never_decayed_or_orthogonalised() -> None:
    model = tiny("activation=xielu", dtype=torch.float32)
    learned = [p for n, p in model.named_parameters() if "activation" in n]
    assert [tuple(p.shape) for p in learned] == [(1,)] * 4
    before = [p.clone() for p in learned]
    initialise(model, Normal(), 7)
    assert all(torch.equal(a, b) for a, b in zip(before, learned, strict=True))
    no_decay = {
        id(p) for g in param_groups(model, 0.1) if g["name"] == "no_decay" for p in g["params"]
    }
    assert {id(p) for p in learned} <= no_decay
    assert not {id(p) for p in learned} & {id(p) for p in matrices(model)}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"a_p": 0.0}, r"^a_p=0.0 must be a positive number, for example 0.8$"),
        ({"beta": -0.5}, r"^beta=-0.5 must be a positive number, for example 0.5$"),
        ({"a_n": 0.5}, r"^a_n=0.5 must be above beta=0.5, for example 0.8$"),
        ({"a_n": float("nan")}, r"^a_n=nan must be above beta=0.5, for example 0.8$"),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        XIELU(**options)
