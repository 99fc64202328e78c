"""AdamW, Adam and SGD against their formulas in float64 loops and against torch's own."""

import inspect
import math

import pytest
import torch
from torch import nn

from lightning_transformer.optim.adam import adam
from lightning_transformer.optim.adamw import adamw
from lightning_transformer.optim.muon import muon
from lightning_transformer.optim.sgd import sgd

GRADIENTS = [[0.5, -1.0], [0.25, 2.0], [-1.5, 0.1]]
START = [1.0, -2.0]


def one_matrix() -> nn.Linear:
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([START]))
    return layer


def run(optimizer: torch.optim.Optimizer, layer: nn.Linear) -> list[float]:
    for gradient in GRADIENTS:
        layer.weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return layer.weight.flatten().tolist()


def adam_by_hand(w, gradients, lr, beta1, beta2, eps, l2, decoupled):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        w -= lr * decoupled * w
        g += l2 * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w -= lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return w


@pytest.mark.parametrize(("build", "decoupled"), [(adamw, True), (adam, False)])
def test_adam_and_adamw_follow_the_formula(build, decoupled):
    layer = one_matrix()
    options = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}
    got = run(build(layer, weight_decay=0.3, **options), layer)
    for i, start in enumerate(START):
        gradients = [gradient[i] for gradient in GRADIENTS]
        decay = {"l2": 0.0, "decoupled": 0.3} if decoupled else {"l2": 0.3, "decoupled": 0.0}
        expected = adam_by_hand(start, gradients, **options, **decay)
        assert got[i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_follows_the_formula(momentum):
    layer = one_matrix()
    got = run(sgd(layer, lr=0.1, momentum=momentum, weight_decay=0.3), layer)
    for i, w in enumerate(START):
        b = None
        for gradient in GRADIENTS:
            g = gradient[i] + 0.3 * w
            b = g if b is None else momentum * b + g
            w -= 0.1 * (g + momentum * b)
        assert got[i] == pytest.approx(w, abs=1e-12)


def test_options_reach_torch_and_biases_are_not_decayed():
    layer = nn.Linear(3, 2)
    decay, no_decay = adamw(layer, lr=0.5, weight_decay=0.2, beta1=0, beta2=0.9).param_groups
    assert decay["weight_decay"] == 0.2
    assert no_decay["weight_decay"] == 0.0
    assert decay["betas"] == (0.0, 0.9)  # a whole number is taken too
    assert decay["lr"] == no_decay["lr"] == 0.5
    assert decay["fused"] is True


def test_fused_is_left_to_torch_where_it_does_not_apply():
    (group,) = adamw(nn.Linear(2, 2, bias=False, device="meta")).param_groups
    assert group["fused"] is None


@pytest.mark.parametrize("build", [adamw, adam, sgd, muon])
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("lr", [0.0, -1.0, math.inf, math.nan, "fast"]),
        ("muon_lr", [0.0, -1.0, math.nan]),
        ("weight_decay", [-0.1, math.inf]),
        ("muon_weight_decay", [-0.1, math.nan]),
        ("beta1", [-0.1, 1.0, math.nan]),
        ("beta2", [-0.1, 1.0, 1.5]),
        ("momentum", [-0.1, 1.0]),
        ("eps", [0.0, -1e-8, math.nan]),
    ],
)
def test_options_out_of_range_are_refused_in_one_line(build, option, values):
    layer = nn.Linear(2, 2)
    if option not in inspect.signature(build).parameters:
        with pytest.raises(TypeError):  # an option of another optimizer is never ignored
            build(layer, **{option: 0.5})
        return
    for value in values:
        with pytest.raises(ValueError, match=f"^optimizer.{option}=") as caught:
            build(layer, **{option: value})
        message = str(caught.value)
        assert repr(value) in message
        assert "for example" in message
        assert "\n" not in message
