"""Windows of keys: what kernel=eager computes with one mask for all queries, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn import stack as stack_module
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.auto import Auto
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.kernels.windows import key_windows
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.layer_sharing.none import NoSharing
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.pattern.base import And, Pattern
from lightning_transformer.nn.pattern.block import BlockPattern
from lightning_transformer.nn.pattern.dilated import Dilated
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.global_tokens import GlobalTokens
from lightning_transformer.nn.pattern.local_global import LocalGlobal
from lightning_transformer.nn.pattern.prefix import Prefix
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.stack import Stack
from tests.conftest import noise, options, tiny
from tests.unit.nn.block.parts import parts

LENGTH = 413  # no multiple of a block, and blocks pay from 384 on for these windows
LIMITED = [
    *(SlidingWindow(n) for n in (1, 2, 32, 64, 65, 66, 100)),
    Dilated(40, 3),
    BlockPattern(50),
    And(SlidingWindow(90), BlockPattern(70)),
]


class Counting(SDPA):
    """Counts how often it was given windows."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, *more: Any) -> Tensor:
        self.n += context.windows is not None
        return super().__call__(q, k, v, context, *more)


def make(kernel: Any, pattern: Pattern, *, causal: bool = True, max_len: int = LENGTH) -> Stack:
    torch.manual_seed(0)
    attention = partial(MultiHeadAttention, kernel=kernel, qk_norm=NoNorm, n_heads=4, n_kv_heads=2)
    return Stack(
        d_model=16,
        n_layers=2,
        max_len=max_len,
        block=partial(Sequential, **parts(attention=attention)),
        position=RoPE,
        norm=NoNorm,
        pattern=pattern,
        layer_sharing=NoSharing(),
        dropout=0.0,
        causal=causal,
    ).double()


def both(pattern: Pattern, **inputs: Any) -> None:
    """Outputs and gradients of windows against those of one mask."""
    found = []
    for kernel in (Counting(), Eager()):
        x = noise(2, LENGTH, 16).requires_grad_()
        y = make(kernel, pattern)(x, **inputs)
        if (padding := inputs.get("padding")) is not None:
            y = y.masked_fill(padding[..., None], 0.0)
        y.square().sum().backward()
        found.append((y, x.grad))
        assert not isinstance(kernel, Counting) or kernel.n == 2
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pattern", LIMITED, ids=str)
def test_they_equal_one_mask_for_all(pattern: Pattern) -> None:
    both(pattern)


@pytest.mark.parametrize("pattern", LIMITED, ids=str)
def test_packed_documents(pattern: Pattern) -> None:
    documents = (torch.arange(LENGTH) // 37 + torch.arange(LENGTH) // 111).expand(2, -1)
    both(pattern, documents=documents)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding(side: str) -> None:
    place = torch.arange(LENGTH)
    pads = place < 90 if side == "left" else place >= LENGTH - 90
    both(SlidingWindow(32), padding=torch.stack((pads, torch.zeros_like(pads))))


@pytest.mark.parametrize(
    ("pattern", "reach"),
    [
        (SlidingWindow(7), 7),
        (Dilated(9, 2), 9),
        (BlockPattern(5), 5),
        (And(SlidingWindow(7), BlockPattern(5)), 5),
        (And(Full(), SlidingWindow(7)), 7),
        (Full(), None),
        (Prefix(4), None),
        (GlobalTokens(n_global=1, window=8), None),
    ],
    ids=str,
)
def test_reach_is_how_far_a_query_sees(pattern: Pattern, reach: int | None) -> None:
    assert pattern.reach() == pattern.in_past().reach() == reach
    place = torch.arange(40)
    seen = pattern.in_past()(place[:, None], place)
    farthest = int((place[:, None] - place + 1)[seen].max())
    assert (farthest == 40) if reach is None else (farthest <= reach)


def test_memory_grows_with_the_length() -> None:
    sees = SlidingWindow(64).in_past()
    sizes = []
    for length in (512, 1024, 2048):
        made = key_windows(sees, 64, torch.arange(length), None, None)
        assert made is not None
        sizes.append(made.mask.numel())
    assert sizes[2] == 2 * sizes[1] == 4 * sizes[0]
    assert sizes[2] <= 2048 * 4 * 64


@pytest.mark.parametrize(
    ("kernel", "pattern", "length", "n"),
    [
        (Counting, SlidingWindow(32), LENGTH, 2),
        (Counting, LocalGlobal(32, 1), LENGTH, 1),  # the other layer sees everything
        (Counting, SlidingWindow(32), 200, 0),  # too short to pay
        (Counting, SlidingWindow(100), 299, 0),
        (Counting, Full(), LENGTH, 0),
        (Counting, GlobalTokens(n_global=1, window=8), LENGTH, 0),
    ],
)
def test_where_they_are_used(
    kernel: Callable[[], Counting], pattern: Pattern, length: int, n: int
) -> None:
    counting = kernel()
    make(counting, pattern)(noise(1, length, 16))
    assert counting.n == n


def test_both_directions_need_one_mask() -> None:
    counting = Counting()
    make(counting, SlidingWindow(32), causal=False)(noise(1, LENGTH, 16))
    assert counting.n == 0


def test_a_cache_continues_what_windows_began() -> None:
    stack = make(Auto(), SlidingWindow(32)).eval()
    x = noise(1, LENGTH, 16)
    whole, cache = stack(x), stack.new_cache(LENGTH)
    with torch.no_grad():
        first = stack(x[:, :400], cache=cache)
        rest = [stack(x[:, i : i + 1], cache=cache) for i in range(400, LENGTH)]
    torch.testing.assert_close(torch.cat((first, *rest), 1), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("attention", options("attention"))
def test_no_attention_is_given_windows_that_it_does_not_read(
    monkeypatch: pytest.MonkeyPatch, attention: str
) -> None:
    """The same features with windows, where the layer takes them, and without."""
    typed = (f"attention={attention}", "pattern=sliding_window", "kernel=auto", "data.seq_len=300")
    try:
        model = tiny(*typed).eval()
    except ValueError:
        pytest.skip("has no scores that a pattern limits")
    stacks = [module for module in model.modules() if isinstance(module, Stack)]
    x = noise(1, 300, stacks[0].d_model)
    ids = torch.arange(300)[None] % 7
    found = stacks[0](x, ids=ids)
    monkeypatch.setattr(stack_module, "key_windows", lambda *args: None)
    torch.testing.assert_close(found, stacks[0](x, ids=ids), rtol=0, atol=1e-9)


def test_layers_that_change_scores_take_none() -> None:
    assert make(SDPA(), Full()).blocks[0].attention.takes_windows
    assert not make(Eager(), Full()).blocks[0].attention.takes_windows
    assert AttentionContext().windows is None


def test_compiled_blocks_take_them() -> None:
    plain, compiled = Counting(), make(Counting(), SlidingWindow(32))
    x = noise(1, LENGTH, 16)
    wanted = make(plain, SlidingWindow(32))(x)
    compiled.compile_blocks(backend="aot_eager")
    torch.testing.assert_close(compiled(x), wanted, rtol=0, atol=1e-9)
    assert plain.n == 2
