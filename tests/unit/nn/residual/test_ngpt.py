"""residual=ngpt, and preset=ngpt against the paper's formulas on the unit sphere."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.distributed.unit_norm import normalise_
from lightning_transformer.nn.norm.l2norm import L2Norm
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.ngpt import NGPT
from lightning_transformer.tasks.base import Batch
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made

D, HEADS, START = 32, 4, 0.05


def test_formula() -> None:
    layer, x, rates = made(NGPT), noise(2, 3, 8), noise(8, seed=1)
    layer.rates.weight.data.copy_(rates / 8**0.5 / START)
    assert_near(layer(x, f), ln(x + rates.abs() * (ln(f(x)) - x)))


def test_where_it_starts() -> None:
    x = noise(2, 3, 8)
    torch.testing.assert_close(
        made(NGPT, start=0.25)(x, f), ln(x + 0.25 * (ln(f(x)) - x)), rtol=0, atol=1e-6
    )


def test_with_l2norm_the_stream_stays_on_a_sphere() -> None:
    layer, x = NGPT(8, norm=partial(L2Norm, eps=1e-12)).double(), noise(2, 3, 8)
    assert_near_length(layer(x, f), 8**0.5)


def assert_near_length(x: Tensor, length: float) -> None:
    torch.testing.assert_close(
        x.norm(dim=-1), torch.full(x.shape[:-1], length).to(x), rtol=1e-6, atol=0
    )


def test_whether_a_final_norm_is_due() -> None:
    assert NGPT.needs_final_norm is False


def test_dropout() -> None:
    assert_dropout(NGPT)


def test_refuses_a_start_at_zero() -> None:
    with pytest.raises(ValueError, match=r"^start=0.0 must be a positive number"):
        NGPT(8, norm=LayerNorm, start=0.0)


# -- the whole model ------------------------------------------------------------------------------


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


def drawn_model() -> Any:
    """preset=ngpt with learned numbers that are none of those that it starts with."""
    model: Any = tiny("preset=ngpt", "position=none", "qk_norm.eps=1e-12", "model.n_layers=2")
    for weight, dim in model.init.unit_weights(model):  # drawn in float32
        normalise_(weight, dim)
    with torch.no_grad():
        for seed, parameter in enumerate(model.parameters()):
            if parameter.ndim == 1:
                parameter *= 1 + 0.3 * noise(*parameter.shape, seed=seed).tanh()
        for block in model.decoder.blocks:  # one vector for queries and keys, as in the paper
            block.attention.k_norm.weight.copy_(block.attention.q_norm.weight)
    return model


def by_the_paper(model: Any, ids: list[int]) -> list[Tensor]:
    """Scores of one row, token by token: table 1 and sections 2.1 to 2.5, features of length 1."""
    root, width = D**0.5, D // HEADS
    rows: list[Tensor] = [model.embedding.weight[i] for i in ids]
    for block in model.decoder.blocks:
        attention, ffn = block.attention, block.ffn
        s_qk = attention.q_norm.weight * width**0.5
        heads = {n: [(getattr(attention, n).weight @ h).split(width) for h in rows] for n in "qkv"}
        rates = block.attention_residual.rates.weight * START * root
        moved = []
        for t, h in enumerate(rows):
            joined = []
            for i in range(HEADS):
                q = unit(heads["q"][t][i]) * s_qk
                keys = [unit(heads["k"][s][i]) * s_qk for s in range(t + 1)]
                weights = torch.stack([width**0.5 * (q * k).sum() for k in keys]).exp()
                weights = weights / weights.sum()
                joined.append(sum(weights[s] * heads["v"][s][i] for s in range(t + 1)))
            h_a = unit(attention.out.weight @ torch.cat(joined))
            moved.append(unit(h + rates * (h_a - h)))
        rows = moved
        rates = block.ffn_residual.rates.weight * START * root
        s_v, s_u = ffn.scales
        for t, h in enumerate(rows):
            v = (ffn.up[0].weight @ h) * s_v * root
            u = (ffn.up[1].weight @ h) * s_u * root
            h_m = unit(ffn.down.weight @ (u * v * v.sigmoid()))
            rows[t] = unit(h + rates * (h_m - h))
    s_z = model.task.head.score_scale.weight * root
    return [s_z * (model.task.head.weight @ h) for h in rows]


def test_the_preset_is_the_paper() -> None:
    model, ids = drawn_model(), [3, 250, 3, 77, 12]
    with torch.no_grad():
        batch = Batch.without_labels(torch.tensor([ids]))
        scores = model.task.head(model.features(batch))[0]
        torch.testing.assert_close(scores, torch.stack(by_the_paper(model, ids)), rtol=0, atol=1e-9)


def test_the_preset_starts_with_cosines() -> None:
    model: Any = tiny("preset=ngpt")
    batch = Batch.without_labels(torch.tensor([[3, 250, 3, 77]]))
    features = model.features(batch)
    assert_near_length(features, D**0.5)
    cosines = unit(features) @ unit(model.task.head.weight).T
    torch.testing.assert_close(model.task.head(features), cosines, rtol=0, atol=1e-6)
