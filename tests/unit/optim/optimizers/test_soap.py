"""optimizer=soap: its algorithm in a float64 loop with numpy's eigenvectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lightning_transformer.nn.linear import Head
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.soap import soap
from tests.conftest import noise

NEEDS_FULL_TENSORS = True  # for tests/helpers/variants.py

OPTIONS = {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 1e-3}


def one_matrix(shape: tuple[int, int]) -> nn.Linear:
    layer = nn.Linear(shape[1], shape[0], bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, shape[0] * shape[1]).view(shape))
    return layer


def gradients(shape: tuple[int, int], n: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(n)]


def vectors(matrix: np.ndarray) -> np.ndarray:
    """Eigenvectors, that of the largest eigenvalue first."""
    return np.linalg.eigh(matrix)[1][:, ::-1]


def sizes(matrix: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Of the columns of q as eigenvectors: their eigenvalues, nearly."""
    return np.array([q[:, i] @ matrix @ q[:, i] for i in range(len(q))])


@pytest.mark.parametrize("every", [1, 3])
def test_soap_follows_the_algorithm(every: int) -> None:
    lr, beta1, beta2, eps, decay = *OPTIONS.values(), 0.3
    layer = one_matrix((3, 3))
    optimizer = soap(layer, weight_decay=decay, precondition_every=every, **OPTIONS)
    w = layer.weight.detach().numpy().copy()
    first, *rest = (g.numpy() for g in gradients((3, 3), 8))
    left, right = (1 - beta2) * first @ first.T, (1 - beta2) * first.T @ first
    q_left, q_right = vectors(left), vectors(right)
    begun = q_left
    m, v, swapped = np.zeros((3, 3)), np.zeros((3, 3)), False
    layer.weight.grad = torch.from_numpy(first)
    optimizer.step()
    w -= lr * decay * w
    np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=0, atol=1e-12)
    for t, g in enumerate(rest, start=1):
        layer.weight.grad = torch.from_numpy(g)
        optimizer.step()
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (q_left.T @ g @ q_right) ** 2
        step = q_left.T @ m @ q_right / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
        w -= lr * decay * w + lr * q_left @ step @ q_right.T
        left = beta2 * left + (1 - beta2) * g @ g.T
        right = beta2 * right + (1 - beta2) * g.T @ g
        if t % every == 0:
            rows, columns = sizes(left, q_left), sizes(right, q_right)
            v = v[np.argsort(-rows)][:, np.argsort(-columns)]
            swapped |= bool((np.diff(rows) > 0).any())
            q_left = np.linalg.qr(left @ q_left[:, np.argsort(-rows)])[0]
            q_right = np.linalg.qr(right @ q_right[:, np.argsort(-columns)])[0]
        np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=0, atol=1e-10)
    assert np.abs(np.abs(q_left.T @ begun) - np.eye(3)).max() > 0.1  # the basis has turned
    assert swapped


def test_an_update_turns_with_the_gradients() -> None:
    """Rotating all gradients rotates all updates, unlike in optimizers of single weights."""
    turn = torch.linalg.qr(gradients((3, 3), 9)[8]).Q
    one, other = one_matrix((3, 3)), one_matrix((3, 3))
    start = one.weight.detach().clone()
    optimizers = [
        soap(layer, weight_decay=0.0, precondition_every=2, **OPTIONS) for layer in (one, other)
    ]
    for g in gradients((3, 3), 8):
        one.weight.grad, other.weight.grad = g, turn @ g
        for optimizer in optimizers:
            optimizer.step()
    moved, turned = one.weight.detach() - start, other.weight.detach() - start
    torch.testing.assert_close(turned, turn @ moved, rtol=0, atol=1e-9)
    assert (turned - moved).abs().max() > 0.01


def test_processes_that_round_differently_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process's bases, as broadcast; with bases of its own the second goes elsewhere."""
    sent: list[Tensor] = []
    shape = (5, 2)  # of rank 2, so that rounding makes three of five eigenvectors

    def end(broadcast: Any = None, rounding: float = 0.0) -> Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(dist, "is_initialized", lambda: broadcast is not None)
            patch.setattr(dist, "broadcast", broadcast)
            layer = one_matrix(shape)
            optimizer = soap(layer, weight_decay=0.0, precondition_every=2, lr=0.1)
            for number, g in enumerate(gradients(shape, 6)):
                layer.weight.grad = g * (1 + rounding * noise(*shape, seed=number))
                optimizer.step()
        return layer.weight.detach()

    first = end(lambda basis, src: sent.append(basis.clone()))
    alone = end(rounding=1e-15)
    assert len(sent) == 2 * 3  # both sides, at the first step and after two more turns
    second = end(lambda basis, src: basis.copy_(sent.pop(0)), rounding=1e-15)
    torch.testing.assert_close(second, first, rtol=0, atol=1e-9)
    assert (alone - first).abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(2, 5), (5, 2)])
def test_a_longer_side_keeps_its_basis(shape: tuple[int, int]) -> None:
    layer = one_matrix(shape)
    optimizer = soap(layer, max_size=2)
    for g in gradients(shape, 3):
        layer.weight.grad = g
        optimizer.step()
    side = "left" if shape[0] == 2 else "right"
    kept = {"step", "exp_avg", "exp_avg_sq", side, f"{side}_basis"}
    assert set(optimizer.state[layer.weight]) == kept
    assert optimizer.state[layer.weight][side].shape == (2, 2)


def test_without_a_basis_and_for_everything_else_it_is_adamw() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), Head(4, 7, bias=False)).double()
    other = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), Head(4, 7, bias=False)).double()
    other.load_state_dict(model.state_dict())
    one, second = (
        soap(model, max_size=1, weight_decay=0.3, **OPTIONS),
        adamw(other, weight_decay=0.3, **OPTIONS),
    )
    assert [group["name"] for group in one.param_groups] == ["matrices", "decay", "no_decay"]
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            q.grad = p.grad.clone()
        one.step()
        second.step()
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        if name == "1.weight":  # its first gradient makes the basis
            assert not torch.equal(p, q)
        else:
            torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def test_a_gradient_that_is_not_finite_does_not_stop_the_run() -> None:
    """A guard that goes back undoes it; before that there must be no error."""
    layer = one_matrix((3, 3))
    optimizer = soap(layer, precondition_every=1)
    for _ in range(2):
        layer.weight.grad = torch.full((3, 3), math.nan, dtype=torch.float64)
        optimizer.step()
    assert layer.weight.isnan().all()


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (Head(4, 4), r"^optimizer=soap finds no hidden matrix in Head; take optimizer=adamw$"),
        (
            nn.Linear(4, 4, dtype=torch.bfloat16),
            r"^optimizer=soap needs weights of float32.*bf16-m",
        ),
    ],
)
def test_refuses(model: nn.Module, line: str) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        soap(model)
    assert "\n" not in str(caught.value)
