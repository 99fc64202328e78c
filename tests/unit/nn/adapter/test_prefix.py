"""adapter=prefix."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lightning_transformer.nn.adapter.prefix import prefix
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.tasks.base import Batch
from tests.conftest import noise, tiny

N, T = 3, 4
HEADS = ("attention.n_heads=4", "attention.n_kv_heads=2", "qk_norm=none")
IDS = torch.tensor([[5, 9, 200, 31, 7], [64, 2, 2, 90, 11]])


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True])
def test_the_formula_in_float64(masked: bool) -> None:
    """Head by head and query by query, with two query heads to a key head."""
    model: Any = tiny(
        "attention=gqa", "attention.n_heads=4", "attention.n_kv_heads=2", "qk_norm=none"
    )
    prefix(model, seed=1, n_tokens=N)
    layer = model.decoder.blocks[0].attention
    for number, table in enumerate((layer.adapter.keys, layer.adapter.values)):
        table.weight.copy_(noise(N, 2 * 8, seed=number))
    x, mask = noise(1, T, 32, seed=2), torch.ones(T, T, dtype=torch.bool).tril()
    limit: dict[str, Any] = {"mask": mask[None, None]} if masked else {"is_causal": True}
    found = layer(x, AttentionContext(**limit))
    q, k, v = (part(x)[0].unflatten(-1, (-1, 8)) for part in (layer.q, layer.k, layer.v))
    keys = torch.cat((layer.adapter.keys.weight.unflatten(-1, (2, 8)), k))
    values = torch.cat((layer.adapter.values.weight.unflatten(-1, (2, 8)), v))
    rows = []
    for t in range(T):
        heads = []
        for h in range(4):
            n = N + t + 1  # what the query sees
            scores = torch.stack([q[t, h] @ keys[s, h // 2] / math.sqrt(8) for s in range(n)])
            heads.append(scores.softmax(0) @ values[:n, h // 2])
        rows.append(layer.out(torch.cat(heads)))
    torch.testing.assert_close(found[0], torch.stack(rows), rtol=1e-12, atol=1e-12)


def test_its_size_is_as_stated() -> None:
    trained = prefix(tiny(), seed=1, n_tokens=N).trained
    assert trained is not None
    assert sum(p.numel() for p in trained) == 2 * 2 * N * 32  # keys and values of two layers


@torch.no_grad()
@pytest.mark.parametrize("pattern", ["full", "sliding_window"])
def test_no_token_sees_the_future_and_pads_are_not_seen(pattern: str) -> None:
    own = ("pattern.window=2",) if pattern == "sliding_window" else ()
    model: Any = tiny(f"pattern={pattern}", *own)
    prefix(model, seed=1, n_tokens=N)
    whole = model.features(Batch.without_labels(IDS))
    part = model.features(Batch.without_labels(IDS[:, :3]))
    torch.testing.assert_close(whole[:, :3], part, rtol=1e-12, atol=1e-12)
    padding = torch.tensor([[True, True, False, False, False]])
    padded = Batch.without_labels(IDS[:1].roll(2, 1))._replace(padding=padding)
    alone = model.features(Batch.without_labels(IDS[:1, :3]))
    torch.testing.assert_close(model.features(padded)[:, 2:], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("attention=linear", "position=none"), "attention=linear has no keys; use adapter=lora"),
        (("attention=mla",), "attention=mla computes its own scores; use adapter=lora"),
        (("memory_tokens=learned",), "beside memory tokens, which have no position"),
    ],
)
def test_refuses_layers_without_keys(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        prefix(tiny(*overrides), seed=1)


def test_refuses_none() -> None:
    with pytest.raises(ValueError, match=r"^n_tokens=0 must be at least 1"):
        prefix(tiny(), seed=1, n_tokens=0)
