"""The stack: which positions and masks its layers get, and when it ends in a norm."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.parallel import ParallelBlock
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.layer_sharing.none import NoSharing
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.local_global import LocalGlobal
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from lightning_transformer.nn.position.alibi import ALiBi
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.position.none import NoPosition
from lightning_transformer.nn.residual.post_norm import PostNorm
from lightning_transformer.nn.residual.pre_norm import PreNorm
from lightning_transformer.nn.residual.sandwich import Sandwich
from lightning_transformer.nn.stack import Stack
from tests.conftest import noise
from tests.unit.nn.block.parts import parts


class Asked(PositionEncoding):
    """Writes down the positions that it is asked for."""

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        self.embedded = positions
        return x

    def angles(self, positions: Tensor) -> None:
        self.turned = positions


class Watching(Eager):
    """Writes down the contexts that it is called with."""

    def __init__(self) -> None:
        self.contexts: list[AttentionContext] = []

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, *more: Any) -> Tensor:
        self.contexts.append(context)
        return super().__call__(q, k, v, context, *more)


def make(kernel: Eager | None = None, **options: Any) -> Stack:
    attention = partial(MultiHeadAttention, kernel=kernel or Eager(), qk_norm=NoNorm)
    usual = {
        "d_model": 16,
        "n_layers": 2,
        "max_len": 8,
        "block": partial(Sequential, **parts(attention=attention)),
        "position": NoPosition,
        "norm": RMSNorm,
        "layer_sharing": NoSharing(),
        "pattern": Full(),
        "dropout": 0.0,
        "causal": True,
    }
    return Stack(**usual | options).double().eval()


def masks(text: str) -> list[list[bool]]:
    return [[sign == "x" for sign in line] for line in text.split()]


def test_positions_count_from_zero() -> None:
    stack = make(position=Asked)
    stack(noise(2, 4, 16))
    assert stack.position.embedded.tolist() == stack.position.turned.tolist() == [0, 1, 2, 3]


def test_positions_count_real_tokens() -> None:
    stack = make(position=Asked)
    padding = torch.tensor([[True, True, False, False], [False, False, False, True]])
    stack(noise(2, 4, 16), padding=padding)
    assert stack.position.embedded.tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]


def test_positions_restart_with_each_document() -> None:
    stack = make(position=Asked)
    stack(noise(2, 5, 16), documents=torch.tensor([[3, 3, 4, 4, 4], [0, 1, 1, 2, 3]]))
    assert stack.position.embedded.tolist() == [[0, 1, 0, 1, 2], [0, 0, 1, 0, 0]]


def test_positions_go_on_after_the_cache() -> None:
    stack = make(position=Asked)
    cache = stack.new_cache(8)
    stack(noise(1, 3, 16), cache=cache)
    stack(noise(1, 2, 16), cache=cache)
    assert stack.position.turned.tolist() == [3, 4]


def test_positions_after_a_padded_prompt_count_real_tokens() -> None:
    stack = make(position=Asked)
    cache = stack.new_cache(8)
    padding = torch.tensor([[True, True, False], [False, False, False]])
    stack(noise(2, 3, 16), padding=padding, cache=cache)
    stack(noise(2, 1, 16), cache=cache)
    assert stack.position.embedded.tolist() == [[1], [3]]


def test_the_plain_triangle_is_left_to_the_kernel() -> None:
    kernel = Watching()
    make(kernel)(noise(1, 4, 16))
    assert [(c.mask, c.bias, c.is_causal) for c in kernel.contexts] == [(None, None, True)] * 2


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        ({"causal": False}, "xxxx xxxx xxxx xxxx"),
        ({"pattern": SlidingWindow(2)}, "x... xx.. .xx. ..xx"),
        ({"pattern": SlidingWindow(2), "causal": False}, "xx.. xxx. .xxx ..xx"),
        ({"position": ALiBi}, "x... xx.. xxx. xxxx"),
    ],
)
def test_masks(options: dict[str, Any], drawn: str) -> None:
    kernel = Watching()
    make(kernel, **options)(noise(1, 4, 16))
    assert kernel.contexts[0].mask[0, 0].tolist() == masks(drawn)


@pytest.mark.parametrize("causal", [True, False])
def test_masks_hide_pads(causal: bool) -> None:
    kernel = Watching()
    padding = torch.tensor([[True, False, False], [False, False, True]])
    make(kernel, causal=causal)(noise(2, 3, 16), padding=padding)
    left, right = kernel.contexts[0].mask[:, 0].tolist()
    assert left[1:] == masks(".x. .xx" if causal else ".xx .xx")
    assert right[:2] == masks("x.. xx." if causal else "xx. xx.")


@pytest.mark.parametrize("causal", [True, False])
def test_masks_stay_inside_documents(causal: bool) -> None:
    kernel = Watching()
    documents = torch.tensor([[0, 0, 1, 1]])
    make(kernel, causal=causal)(noise(1, 4, 16), documents=documents)
    wanted = "x... xx.. ..x. ..xx" if causal else "xx.. xx.. ..xx ..xx"
    assert kernel.contexts[0].mask[0, 0].tolist() == masks(wanted)


def test_biases_are_limited_to_the_mask() -> None:
    kernel = Watching()
    make(kernel, position=ALiBi)(noise(1, 4, 16))
    context = kernel.contexts[0]
    assert torch.equal(context.bias.isfinite(), context.mask[0].expand(1, 4, 4, 4))


def test_layers_of_one_pattern_share_a_context() -> None:
    kernel = Watching()
    make(kernel, n_layers=4, pattern=LocalGlobal(window=2, n_local=1))(noise(1, 4, 16))
    a, b, c, d = kernel.contexts
    assert a is c
    assert b is d
    assert b.is_causal
    assert a.mask[0, 0].tolist() == masks("x... xx.. .xx. ..xx")


def test_one_new_token_sees_all_of_the_past_without_a_mask() -> None:
    kernel = Watching()
    stack = make(kernel)
    cache = stack.new_cache(8)
    stack(noise(1, 3, 16), cache=cache)
    stack(noise(1, 1, 16), cache=cache)
    assert (kernel.contexts[-1].mask, kernel.contexts[-1].is_causal) == (None, False)


def test_several_new_tokens_see_the_past_and_no_future() -> None:
    kernel = Watching()
    stack = make(kernel)
    cache = stack.new_cache(8)
    stack(noise(1, 2, 16), cache=cache)
    stack(noise(1, 2, 16), cache=cache)
    assert kernel.contexts[-1].mask[0, 0].tolist() == masks("xxx. xxxx")


def test_padding_of_the_source_is_hidden() -> None:
    kernel = Watching()
    stack = make(kernel, cross=True)
    padding = torch.tensor([[False, False, True]])
    stack(noise(1, 2, 16), memory=noise(1, 3, 16), memory_padding=padding)
    own, source = kernel.contexts[:2]
    assert own.is_causal
    assert source.mask.tolist() == [[[[True, True, False]]]]


@pytest.mark.parametrize(
    ("residual", "kind"), [(PreNorm, RMSNorm), (Sandwich, RMSNorm), (PostNorm, nn.Identity)]
)
@pytest.mark.parametrize("block", [Sequential, ParallelBlock])
def test_final_norm_where_the_stream_is_not_normed(block: type, residual: type, kind: type) -> None:
    stack = make(block=partial(block, **parts(residual=residual)))
    assert type(stack.final_norm) is kind
    y = stack(10 * noise(1, 4, 16))
    torch.testing.assert_close(y.square().mean(-1), torch.ones(1, 4).double(), rtol=1e-4, atol=0)


def test_it_is_its_layers_one_after_the_other() -> None:
    stack, x = make(n_layers=3), noise(2, 4, 16)
    y = x
    for block in stack.blocks:
        y = block(y, AttentionContext(is_causal=True))
    torch.testing.assert_close(stack(x), stack.final_norm(y), rtol=0, atol=1e-12)
    assert stack.n_residuals == 6


def test_dropout_on_what_enters_in_training_only() -> None:
    stack, x = make(dropout=0.5), noise(2, 4, 16)
    first = stack(x)
    assert torch.equal(first, stack(x))
    stack.train()
    assert not torch.equal(stack(x), stack(x))


def test_refuses_no_layers() -> None:
    with pytest.raises(ValueError, match=r"^n_layers=0 must be at least 1, for example 1$"):
        make(n_layers=0)
