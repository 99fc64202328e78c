"""NorMuon: Muon's own update, its rows scaled by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.nn.linear import Head
from lightning_transformer.optim.optimizers.muon import muon
from lightning_transformer.optim.optimizers.normuon import normuon


def one_matrix(shape: tuple[int, int]) -> nn.Linear:
    layer = nn.Linear(shape[1], shape[0], bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.5)
    return layer


def gradients(shape: tuple[int, int], n: int = 4) -> list[Tensor]:
    """With rows of very different sizes."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.logspace(-2, 1, shape[0])[:, None]
    return [sizes * torch.randn(shape, generator=generator) for _ in range(n)]


def muons_own(shape: tuple[int, int], momentum: float) -> list[Tensor]:
    """The updates O of torch's Muon at lr 1, step by step."""
    layer = one_matrix(shape)
    optimizer = torch.optim.Muon(layer.parameters(), lr=1.0, momentum=momentum, weight_decay=0.0)
    found = []
    for gradient in gradients(shape):
        with torch.no_grad():
            layer.weight.zero_()
        layer.weight.grad = gradient.clone()
        optimizer.step()
        found.append(layer.weight.detach().clone())
    return found


@pytest.mark.usefixtures("in_bf16")
@pytest.mark.parametrize("shape", [(8, 8), (12, 4), (4, 12)])
def test_rows_are_scaled_by_their_running_mean_square(shape: tuple[int, int]) -> None:
    layer = one_matrix(shape)
    options = {"muon_lr": 0.1, "momentum": 0.9, "row_beta2": 0.7, "muon_weight_decay": 0.3}
    optimizer = normuon(layer, **options)
    w, v = torch.full(shape, 0.5, dtype=torch.float64), torch.zeros(shape[0], dtype=torch.float64)
    for gradient, own in zip(gradients(shape), muons_own(shape, 0.9), strict=True):
        layer.weight.grad = gradient.clone()
        optimizer.step()
        o = own.double()
        v = 0.7 * v + 0.3 * o.square().mean(1)
        u = o / v.sqrt()[:, None]
        w = w * (1 - 0.1 * 0.3) + 0.1 * u * (o.norm() / u.norm())
        torch.testing.assert_close(layer.weight.detach().double(), w, rtol=0, atol=1e-6)


def test_the_first_update_has_rows_of_one_size_and_the_norm_of_muons() -> None:
    """Tall, so that its rows cannot be orthogonal and Muon leaves them of different sizes."""
    moved = {}
    for build in (muon, normuon):
        layer = one_matrix((12, 4))
        optimizer = build(layer, muon_lr=1.0)
        layer.weight.grad = gradients((12, 4))[0]
        optimizer.step()
        moved[build] = layer.weight.detach() - 0.5
    rows = {build: update.norm(dim=1) for build, update in moved.items()}
    assert float(rows[muon].max() / rows[muon].min()) > 3
    assert float(rows[normuon].max() / rows[normuon].min()) == pytest.approx(1, abs=1e-5)
    assert float(moved[normuon].norm() / moved[muon].norm()) == pytest.approx(1, abs=1e-5)


def test_everything_but_hidden_matrices_is_muons_affair() -> None:
    """Groups, rates and AdamW's part are those of optimizer=muon."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(7, 8), nn.Linear(8, 6), Head(6, 7, bias=False))
    one, other = normuon(model).param_groups, muon(model).param_groups
    for mine, theirs in zip(one, other, strict=True):
        assert [id(p) for p in mine["params"]] == [id(p) for p in theirs["params"]]
        assert all(mine[key] == theirs[key] for key in ("name", "lr", "weight_decay", "eps"))
    assert one[0]["row_beta2"] == 0.95


def test_a_model_without_hidden_matrices_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer=normuon finds no hidden matrix in Head; take"):
        normuon(Head(4, 4))


def test_a_skipped_update_leaves_state_and_weights() -> None:
    """By `found_inf`, as the guard uses it where the host is not to wait."""
    layer = one_matrix((4, 4))
    optimizer = normuon(layer)
    grads = gradients((4, 4))
    layer.weight.grad = grads[0].clone()
    optimizer.step()
    before = layer.weight.detach().clone()
    state = {key: value.clone() for key, value in optimizer.state[layer.weight].items()}
    layer.weight.grad = torch.full((4, 4), float("nan"))
    optimizer.found_inf = torch.ones(())
    optimizer.step()
    assert torch.equal(layer.weight, before)
    now = optimizer.state[layer.weight]
    assert set(now) == {"momentum_buffer", "row_squares"}
    assert all(torch.equal(now[key], value) for key, value in state.items())
