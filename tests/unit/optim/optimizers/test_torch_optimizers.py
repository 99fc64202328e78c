"""Each optimizer but Muon and schedule_free against its formula in a float64 loop by hand."""

import inspect
import math

import pytest
import torch
from torch import nn

from lightning_transformer.optim.optimizers.adafactor import adafactor
from lightning_transformer.optim.optimizers.adagrad import adagrad
from lightning_transformer.optim.optimizers.adam import adam
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.lion import lion
from lightning_transformer.optim.optimizers.muon import muon
from lightning_transformer.optim.optimizers.nadam import nadam
from lightning_transformer.optim.optimizers.normuon import normuon
from lightning_transformer.optim.optimizers.radam import radam
from lightning_transformer.optim.optimizers.rmsprop import rmsprop
from lightning_transformer.optim.optimizers.schedule_free import schedule_free
from lightning_transformer.optim.optimizers.sgd import sgd

ALL = [adafactor, adagrad, adam, adamw, lion, muon, nadam, normuon, radam, rmsprop, sgd]
ALL += [schedule_free]
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


def by_hand(update, **options):
    """The two weights after all gradients, each by itself: w, state = update(w, g, t, state)."""
    found = []
    for i, w in enumerate(START):
        state = {}
        for t, gradient in enumerate(GRADIENTS, start=1):
            w = update(w, gradient[i], t, state, **options)
        found.append(w)
    return pytest.approx(found, abs=1e-12)


def test_lion_follows_the_formula():
    def update(w, g, t, state, lr, decay, beta1, beta2):
        m = state.get("m", 0.0)
        state["m"] = beta2 * m + (1 - beta2) * g
        return w - lr * (math.copysign(1, beta1 * m + (1 - beta1) * g) + decay * w)

    layer = one_matrix()
    # With these the mean and the last gradient differ in sign, and the mean wins.
    got = run(lion(layer, lr=0.1, weight_decay=0.3, beta1=0.95, beta2=0.5), layer)
    assert got == by_hand(update, lr=0.1, decay=0.3, beta1=0.95, beta2=0.5)


def test_lion_does_not_move_without_a_gradient():
    layer = one_matrix()
    optimizer = lion(layer, lr=0.1, weight_decay=0.0)
    layer.weight.grad = torch.zeros_like(layer.weight)
    optimizer.step()
    assert layer.weight.flatten().tolist() == START  # sign(0) = 0


def moments(g, t, state, beta1, beta2):
    """The running means and the bias-corrected second one."""
    state["m"] = beta1 * state.get("m", 0.0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
    return state["m"], state["v"] / (1 - beta2**t)


def test_nadam_follows_the_formula():
    def update(w, g, t, state, lr, decay, beta1, beta2, eps, momentum_decay):
        m, v_hat = moments(g, t, state, beta1, beta2)
        mu, after = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
        product = state["product"] = state.get("product", 1.0) * mu
        m_bar = (1 - mu) * g / (1 - product) + after * m / (1 - product * after)
        return w - lr * (decay * w) - lr * m_bar / (math.sqrt(v_hat) + eps)

    layer = one_matrix()
    shared = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "momentum_decay": 0.5}
    got = run(nadam(layer, weight_decay=0.3, **shared), layer)
    # torch keeps the product of all mu in float32
    assert got == pytest.approx(by_hand(update, decay=0.3, **shared).expected, abs=1e-7)


@pytest.mark.parametrize("beta2", [0.3, 0.9])
def test_radam_follows_the_formula(beta2):
    rectified = []

    def update(w, g, t, state, lr, decay, beta1, beta2, eps):
        m, _ = moments(g, t, state, beta1, beta2)
        m_hat = m / (1 - beta1**t)
        rho = 2 / (1 - beta2) - 1
        now = rho - 2 * t * beta2**t / (1 - beta2**t)
        rectified.append(now > 5)
        step = m_hat
        if now > 5:
            r = (now - 4) * (now - 2) * rho / ((rho - 4) * (rho - 2) * now)
            size = (math.sqrt(state["v"]) + eps) / math.sqrt(1 - beta2**t)
            step = math.sqrt(r) * m_hat / size
        return w - lr * decay * w - lr * step

    layer = one_matrix()
    shared = {"lr": 0.1, "beta1": 0.8, "beta2": beta2, "eps": 1e-3}
    optimizer = radam(layer, weight_decay=0.3, **shared)
    got = [run(optimizer, layer) for _ in range(3)][-1]
    found = []
    for i, w in enumerate(START):
        state = {}
        for t in range(1, 10):
            w = update(w, GRADIENTS[(t - 1) % 3][i], t, state, decay=0.3, **shared)
        found.append(w)
    assert got == pytest.approx(found, abs=1e-12)
    assert any(rectified) == (beta2 == 0.9)
    assert not all(rectified)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_rmsprop_follows_the_formula(momentum):
    def update(w, g, t, state, lr, decay, beta2, eps):
        g += decay * w
        state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * g * g
        step = g / (math.sqrt(state["v"]) + eps)
        state["b"] = momentum * state.get("b", 0.0) + step
        return w - lr * state["b"]

    layer = one_matrix()
    shared = {"lr": 0.1, "beta2": 0.9, "eps": 1e-3}
    got = run(rmsprop(layer, weight_decay=0.3, momentum=momentum, **shared), layer)
    assert got == by_hand(update, decay=0.3, **shared)


def test_adagrad_follows_the_formula():
    def update(w, g, t, state, lr, decay, eps):
        g += decay * w
        state["s"] = state.get("s", 0.0) + g * g
        return w - lr * g / (math.sqrt(state["s"]) + eps)

    layer = one_matrix()
    got = run(adagrad(layer, lr=0.1, weight_decay=0.3, eps=1e-3), layer)
    assert got == by_hand(update, lr=0.1, decay=0.3, eps=1e-3)


def test_adafactor_follows_the_formula():
    """Rows and columns of a matrix, and every weight of a bias, in float64."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 4, dtype=torch.float64)
    w, b = layer.weight.detach().clone(), layer.bias.detach().clone() * 1e-4
    with torch.no_grad():
        layer.bias.copy_(b)  # smaller than min_rms
    lr, decay, power, least, clip = 0.7, 0.3, -0.8, 1e-3, 1.0
    options = {"beta2_decay": power, "min_rms": least, "clip_rms": clip}
    optimizer = adafactor(layer, lr=lr, weight_decay=decay, **options)
    rows, columns, squares = torch.zeros(4).double(), torch.zeros(3).double(), torch.zeros_like(b)

    clipped = []

    def rms(x):
        return x.square().mean().sqrt()

    for t in range(1, 5):
        g, h = torch.randn(4, 3).double(), torch.randn(4).double()
        layer.weight.grad, layer.bias.grad = g.clone(), h.clone()
        optimizer.step()
        new = t**power
        rows += new * (g.square().mean(1) - rows)
        columns += new * (g.square().mean(0) - columns)
        squares += new * (h.square() - squares)
        for value, u, own in (
            (w, g / (rows[:, None] * columns / rows.mean()).sqrt(), decay),
            (b, h / squares.sqrt(), 0.0),
        ):
            clipped.append(float(rms(u)) > clip)
            rate = max(least, float(rms(value))) * min(lr, t**-0.5)
            value.mul_(1 - lr * own).sub_(rate * u / max(1.0, float(rms(u)) / clip))
    assert any(clipped)
    assert not all(clipped)
    torch.testing.assert_close(layer.weight.detach(), w, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.bias.detach(), b, rtol=0, atol=1e-12)


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


@pytest.mark.parametrize("build", ALL)
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("lr", [0.0, -1.0, math.inf, math.nan, "fast"]),
        ("muon_lr", [0.0, -1.0, math.nan]),
        ("weight_decay", [-0.1, math.inf]),
        ("muon_weight_decay", [-0.1, math.nan]),
        ("beta1", [-0.1, 1.0, math.nan]),
        ("beta2", [-0.1, 1.0, 1.5]),
        ("row_beta2", [-0.1, 1.0]),
        ("momentum", [-0.1, 1.0]),
        ("eps", [0.0, -1e-8, math.nan]),
        ("momentum_decay", [-0.1, math.nan]),
        ("beta2_decay", [0.0, -1.5, math.nan, "a"]),
        ("min_rms", [0.0, math.nan]),
        ("clip_rms", [0.9, -1.0, math.nan]),
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
