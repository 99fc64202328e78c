"""block=canon."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.distributed.parallelize import check_parallel
from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.activation.swiglu import SwiGLU
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.mla import MLA
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.canon import PLACES, Canon, CanonLayer
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.recurrent.base import RowOrder
from lightning_transformer.testing.checks import check_block
from tests.conftest import noise, options, tiny
from tests.contracts.conformance.models import IDS, features
from tests.contracts.conformance.properties import promises
from tests.helpers.variants import built_class
from tests.unit.nn.block.parts import parts

CAUSAL, ALL = AttentionContext(is_causal=True), AttentionContext()


def drawn(size: int = 4, **others: Any) -> Canon:
    block = Canon(16, conv_size=size, **parts() | others).double().eval()
    with torch.no_grad():
        for seed, layer in enumerate(m for m in block.modules() if isinstance(m, CanonLayer)):
            for parameter in layer.parameters():
                parameter.copy_(noise(*parameter.shape, seed=seed))
    return block


def mixed(layer: Any, h: Tensor, starts: tuple[int, ...] = (0,)) -> Tensor:
    """Token by token: h_t + sum_j w_j h_{t-j}, not across the places where a document starts."""
    if layer is None:
        return h
    y = torch.empty_like(h)
    weight, bias = layer.conv.weight, layer.conv.bias
    for t in range(h.shape[1]):
        begin = max(s for s in starts if s <= t)
        y[:, t] = h[:, t] + (0 if bias is None else bias)
        for j in range(min(layer.conv.size, t - begin + 1)):
            y[:, t] += weight[:, -1 - j] * h[:, t - j]
    return y


def attended(block: Any, h: Tensor) -> Tensor:
    """Causal attention of 4 heads in torch, its queries, keys and values mixed if there is b."""
    layer, canon = block.attention, dict(block.projections)
    q, k, v = (
        mixed(canon.get(name), h @ getattr(layer, name).weight.T).unflatten(-1, (4, 4))
        for name in "qkv"
    )
    y = F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True)
    return y.transpose(1, 2).flatten(2) @ layer.out.weight.T


def fed_forward(block: Any, h: Tensor) -> Tensor:
    hidden = [h @ up.weight.T for up in block.ffn.up]
    for i in range(len(hidden) if block.hidden else 0):
        hidden[i] = mixed(block.hidden[f"up_{i}"], hidden[i])
    return block.ffn.activation(*hidden) @ block.ffn.down.weight.T


@pytest.mark.parametrize("activation", [GELU, SwiGLU])
@pytest.mark.parametrize(
    ("positions", "size", "bias"),
    [("ac", 4, False), ("ac", 9, True), ("ac", 1, True), ("abcd", 4, False), ("abcd", 3, True)]
    + [(place, 4, False) for place in PLACES],
)
@torch.no_grad()
def test_equals_its_formula(positions: str, size: int, bias: bool, activation: Any) -> None:
    ffn = partial(Dense, activation=activation)
    block, x = drawn(size, positions=positions, bias=bias, ffn=ffn), noise(2, 6, 16)
    a = mixed(block.before_attention, block.attention_residual.norm(x))
    h = x + attended(block, a)
    wanted = h + fed_forward(block, mixed(block.before_ffn, block.ffn_residual.norm(h)))
    torch.testing.assert_close(block(x, CAUSAL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 2
    n_layers = sum(isinstance(module, CanonLayer) for module in block.modules())
    n_each = {"b": 3, "d": block.ffn.activation.n_inputs}
    assert n_layers == sum(n_each.get(place, 1) for place in positions)


def test_convolutions_of_zero_leave_a_sequential_block() -> None:
    block, x = drawn(positions=PLACES), noise(2, 5, 16)
    plain = Sequential(16, **parts()).double().eval()
    plain.load_state_dict(block.state_dict(), strict=False)
    with torch.no_grad():
        for layer in block.modules():
            if isinstance(layer, CanonLayer):
                layer.conv.weight.zero_()
    torch.testing.assert_close(block(x, CAUSAL), plain(x, CAUSAL), rtol=0, atol=1e-12)


def test_cross_attention_reads_the_stream_as_it_is() -> None:
    block, x, memory = drawn(cross=True, positions=PLACES), noise(2, 5, 16), noise(2, 3, 16, seed=1)
    with torch.no_grad():
        a = mixed(block.before_attention, block.attention_residual.norm(x))
        h = x + attended(block, a)
        h = h + block.cross(block.cross_residual.norm(h), ALL, memory)
        wanted = h + fed_forward(block, mixed(block.before_ffn, block.ffn_residual.norm(h)))
        torch.testing.assert_close(block(x, CAUSAL, memory, ALL), wanted, rtol=0, atol=1e-12)
    assert len(block.residuals) == 3


def test_documents_do_not_mix() -> None:
    layer, h = drawn().before_ffn, noise(1, 7, 16)
    documents = torch.tensor([[4, 4, 5, 5, 5, 5, 6]])
    row = RowOrder.of(AttentionContext(documents=documents))
    with torch.no_grad():
        wanted = mixed(layer, h, starts=(0, 2, 6))
        torch.testing.assert_close(layer(h, row, None), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", ["encoder_only", "encoder_decoder"])
def test_an_encoder_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match=r"^block=canon .*use block=sequential or model=deco"):
        tiny(f"model={model}", "block=canon")


def test_mup_leaves_the_rate_of_convolutions_alone() -> None:
    """A channel has one input at any width."""
    model: Any = tiny("block=canon", "init=mup", "init.base_width=32", "model.d_model=64")
    slow = model.init.lr_scales(model)
    names = {name for name, p in model.named_parameters() if id(p) in slow}
    assert names
    assert not any("conv" in name for name in names)


NEED_A_STACK = ("value_embedding", "value_residual")  # ids, or the values of a first layer
WITH_HEADS = {
    kind.__name__: kind
    for kind in (built_class("attention", n) for n in options("attention") if n not in NEED_A_STACK)
    if issubclass(kind, MultiHeadAttention)
}


@pytest.mark.parametrize("kind", WITH_HEADS.values(), ids=WITH_HEADS)
def test_all_four_in_every_attention_with_heads(kind: Any) -> None:
    """Each convolution has a gradient, and decoding token by token changes nothing."""
    attention = partial(kind, kernel=Eager(), qk_norm=NoNorm)
    check_block(partial(Canon, positions=PLACES, **parts(attention=attention)))


@pytest.mark.parametrize("attention", NEED_A_STACK)
@torch.no_grad()
def test_a_model_with_all_four_keeps_what_it_promises(attention: str) -> None:
    all_four = ("block=canon", f"block.positions={PLACES}", "ffn=scaled", "position=rope")
    model: Any = tiny(*all_four, f"attention={attention}")
    full = features(model, IDS)
    for holds in promises(model):
        holds(model, full)


@pytest.mark.parametrize(
    ("others", "positions", "line"),
    [
        (
            "attention",
            "abcd",
            r"^positions=abcd mixes at b .* attention=mla .*; use positions=acd$",
        ),
        ("attention", "b", r"^positions=b mixes at b .*; use block=sequential$"),
        ("ffn", "acd", r"^positions=acd mixes hidden units .* ffn=moe .*; use positions=ac$"),
        ("attention ffn", "bcd", r"^positions=bcd mixes at b .*; use positions=c$"),
    ],
)
def test_layers_that_have_no_such_place_are_refused(others: str, positions: str, line: str) -> None:
    """With what goes, which is accepted."""
    found = {
        "attention": partial(MLA, kernel=Eager(), qk_norm=NoNorm),
        "ffn": partial(MoE, activation=GELU),
    }
    chosen = parts(**{name: found[name] for name in others.split()})
    with pytest.raises(ValueError, match=line) as refusal:
        Canon(16, positions=positions, **chosen)
    advice = str(refusal.value).rpartition("; use ")[2]
    if advice != "block=sequential":
        Canon(16, positions=advice.removeprefix("positions="), **chosen)


def test_heads_are_not_parted_where_they_are_mixed() -> None:
    check_parallel(tiny("block=canon"), 2)
    with pytest.raises(ValueError, match=r"^trainer\.strategy\.tensor_parallel_size=2 .* b or d"):
        check_parallel(tiny("block=canon", "block.positions=ad"), 2)


@pytest.mark.parametrize(
    ("positions", "line"),
    [
        ("ca", r"^positions=ca must be letters of abcd, .*; use positions=ac$"),
        ("AC", r"^positions=AC must be .*; use positions=ac$"),
        ("ax", r"^positions=ax must be .*; use positions=a$"),
        ("", r"^positions= must be .*; use positions=ac$"),
    ],
)
def test_positions_are_letters_in_order(positions: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Canon(16, positions=positions, **parts())
