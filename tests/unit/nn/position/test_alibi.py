"""position=alibi."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.layer_sharing.none import NoSharing
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.position.alibi import ALiBi
from lightning_transformer.nn.position.none import NoPosition
from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.residual.pre_norm import PreNorm
from lightning_transformer.nn.stack import Stack
from tests.conftest import noise


def make(n_heads: int, future_ratio: float = 0.5) -> ALiBi:
    sizes = {"d_model": 4 * n_heads, "head_dim": 4, "max_len": 8}
    return ALiBi(n_heads=n_heads, future_ratio=future_ratio, **sizes)


def paper_slopes(n: int) -> list[float]:
    """The recipe of section 3 and of its footnote, for any number of heads."""
    if math.log2(n).is_integer():
        first = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [first * first**i for i in range(n)]
    lower = 2 ** math.floor(math.log2(n))
    return paper_slopes(lower) + paper_slopes(2 * lower)[0::2][: n - lower]


def slopes(alibi: ALiBi) -> list[float]:
    """What one step to the left costs, per head."""
    return (-alibi.bias(torch.tensor([1]), torch.tensor([0]))).flatten().tolist()


@pytest.mark.parametrize("n_heads", [1, 2, 3, 4, 6, 8, 12, 16, 20, 40])
def test_slopes_are_those_of_the_paper(n_heads: int) -> None:
    assert slopes(make(n_heads)) == pytest.approx(paper_slopes(n_heads), rel=1e-6)


def test_slopes_of_eight_heads_by_hand() -> None:
    wanted = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    assert slopes(make(8)) == wanted


@pytest.mark.parametrize("n_heads", [8, 12])
def test_bfloat16_model_has_the_same_bias(n_heads: int) -> None:
    """bfloat16 rounds distances above 256, and most slopes of twelve heads."""
    places = torch.arange(600)
    bias = make(n_heads).bfloat16().bias(places, places)
    assert torch.equal(bias, make(n_heads).bias(places, places))


@pytest.mark.parametrize("n_heads", [4, 6, 12])
def test_weights_equal_those_of_transformers(n_heads: int) -> None:
    bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom")
    theirs = bloom.build_alibi_tensor(torch.ones(1, 7), n_heads, torch.float64)  # (H, 1, S)
    places = torch.arange(7)
    hidden = torch.full((7, 7), float("-inf"), dtype=torch.float64).triu(1)
    scores = noise(n_heads, 7, 7) + hidden
    ours = (scores + make(n_heads).bias(places, places)).softmax(-1)
    # They count from the row's start, which a softmax cannot tell from the distance to the query.
    torch.testing.assert_close(ours, (scores + theirs).softmax(-1), rtol=0, atol=1e-6)


def test_bias_by_hand() -> None:
    places = torch.arange(3)
    bias = make(2, future_ratio=0.5).bias(places, places)
    wanted = [[0.0, -0.5, -1.0], [-1.0, 0.0, -0.5], [-2.0, -1.0, 0.0]]
    slopes = [2.0**-4, 2.0**-8]
    torch.testing.assert_close(
        bias, torch.tensor([[[s * w for w in r] for r in wanted] for s in slopes])
    )


def encoder(position: partial) -> Stack:
    torch.manual_seed(0)
    attention = partial(MultiHeadAttention, kernel=Eager(), qk_norm=NoNorm)
    parts = {"norm": RMSNorm, "ffn": partial(Dense, activation=GELU), "residual": PreNorm}
    block = partial(Sequential, attention=attention, **parts)
    sizes = {"d_model": 16, "n_layers": 2, "max_len": 8, "dropout": 0.0}
    return Stack(
        block=block,
        position=position,
        norm=RMSNorm,
        pattern=Full(),
        layer_sharing=NoSharing(),
        causal=False,
        **sizes,
    ).double()


def pooled(stack: Stack, x: Tensor) -> Tensor:
    return stack(x).mean(dim=1)


@pytest.mark.parametrize(
    ("position", "sees_order"),
    [
        (NoPosition, False),
        (partial(ALiBi, future_ratio=1.0), False),
        (partial(ALiBi, future_ratio=0.5), True),
        (RoPE, True),
    ],
)
def test_an_encoder_with_equal_sides_cannot_tell_a_row_from_its_reverse(
    position: partial, sees_order: bool
) -> None:
    stack, x = encoder(position), noise(1, 7, 16)
    difference = (pooled(stack, x) - pooled(stack, x.flip(1))).abs().max()
    assert (difference > 1e-4) == sees_order
    assert sees_order or difference < 1e-12


@pytest.mark.parametrize("future_ratio", [0.0, -1.0, float("inf")])
def test_refuses(future_ratio: float) -> None:
    with pytest.raises(ValueError, match=r"^future_ratio=.* must be a positive number"):
        make(2, future_ratio)
