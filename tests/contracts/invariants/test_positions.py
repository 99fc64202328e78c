"""Invariants 9 to 13: where a token stands."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.position.alibi import ALiBi
from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.stack import Stack
from tests.conftest import noise, options
from tests.contracts.invariants.setting import EXACT
from tests.helpers.assembly import MAX_LEN, assemble
from tests.helpers.refusals import is_refused


@pytest.mark.parametrize("position", options("position"))
def test_invariant_09_left_padding(position: str) -> None:
    """Real tokens neither see the pads before them nor count them."""
    ids = torch.arange(MAX_LEN)[None] + 40
    for pattern in options("pattern"):
        if is_refused("decoder_only", position=position, pattern=pattern):
            continue
        model: Any = assemble(position=position, pattern=pattern)
        for n_pads in (1, 4):
            pads = torch.arange(MAX_LEN) < n_pads
            with torch.no_grad():
                padded = model.decoder(model.embedding(ids), padding=pads[None])
                alone = model.decoder(model.embedding(ids[:, n_pads:]))
            torch.testing.assert_close(padded[:, n_pads:], alone, rtol=0, atol=EXACT)


def rope(head_dim: int, base: float = 10000.0) -> RoPE:
    return RoPE(d_model=2 * head_dim, n_heads=2, head_dim=head_dim, max_len=16, base=base)


def interleaved(x: Tensor, base: float) -> Tensor:
    """Rotation as Su et al. write it: neighbours x_2i, x_2i+1 are a pair, a complex number."""
    *_, length, width = x.shape
    turn = torch.outer(
        torch.arange(length, dtype=torch.float64),
        base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width),
    )
    numbers = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(numbers * torch.polar(torch.ones_like(turn), turn)).flatten(-2)


def to_half_split(weight: Tensor, head_dim: int) -> Tensor:
    """Rows of W_q or W_k of the interleaved convention, as the half-split one wants them."""
    order = torch.cat((torch.arange(0, head_dim, 2), torch.arange(1, head_dim, 2)))
    return weight.unflatten(0, (-1, head_dim))[:, order].flatten(0, 1)


# softmax(q k^T / sqrt(8)) of the last of four queries, one row per head, worked with Python's own
# complex numbers; weights and input are sines, so that they are the same in every torch.
STORED = [
    [0.8723978042, 0.0589155452, 0.0106140132, 0.0580726373],
    [0.3573150318, 0.2170301656, 0.2059234092, 0.2197313935],
]


def test_invariant_10_rope_layout() -> None:
    """Weights of either convention give the same stored attention after the fixed permutation."""
    head_dim, width, base = 8, 6, 100.0
    wave = torch.sin(torch.arange(2 * 16 * width, dtype=torch.float64) ** 1.5)
    wq, wk = wave.view(2, 16, width)
    x = torch.cos(torch.arange(4 * width, dtype=torch.float64) ** 1.3).view(4, width)

    def heads(weight: Tensor) -> Tensor:
        return (x @ weight.T).unflatten(-1, (2, head_dim)).transpose(0, 1)

    def attention(q: Tensor, k: Tensor) -> Tensor:
        return (q @ k.mT / math.sqrt(head_dim)).softmax(-1)[:, -1]

    theirs = attention(interleaved(heads(wq), base), interleaved(heads(wk), base))
    torch.testing.assert_close(theirs, torch.tensor(STORED, dtype=theirs.dtype), rtol=0, atol=1e-9)
    ours = rope(head_dim, base)
    angles = ours.angles(torch.arange(4))
    q, k = (ours.rotate(heads(to_half_split(w, head_dim))[None], angles)[0] for w in (wq, wk))
    torch.testing.assert_close(attention(q, k), theirs, rtol=0, atol=EXACT)


def test_invariant_11_rope_is_relative() -> None:
    """One query and one key everywhere: the score of i and j depends on i - j alone."""
    module, n = rope(16), 12
    q, k = noise(16).expand(1, 1, n, 16), noise(16, seed=1).expand(1, 1, n, 16)

    def scores(shift: int) -> Tensor:
        angles = module.angles(torch.arange(n) + shift)
        return (module.rotate(q, angles) @ module.rotate(k, angles).mT)[0, 0]

    near = scores(0)
    for distance in range(-n + 1, n):
        diagonal = near.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-9)
    assert near[0].std() > 0.01
    torch.testing.assert_close(scores(1000), near, rtol=0, atol=1e-9)


def test_invariant_12_rope_precision() -> None:
    """Angles reach rotate in float32 also in a bfloat16 model, under autocast, at 32 000."""
    module = rope(64).bfloat16()
    places = torch.tensor([0, 1, 255, 4097, 31_999])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        turn = module.angles(places)
    wanted = places.double()[:, None] * 10000.0 ** (-torch.arange(0, 64, 2).double() / 64)
    exact = torch.stack((wanted.cos(), wanted.sin()))
    torch.testing.assert_close(turn.double(), exact, rtol=0, atol=1e-6)


def test_invariant_12_the_stack_keeps_angles_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model: Any = assemble(position="rope").bfloat16()
    used: list[torch.dtype] = []
    rotate = RoPE.rotate

    def watched(self: RoPE, x: Tensor, angles: Tensor) -> Tensor:
        used.append(angles.dtype)
        return rotate(self, x, angles)

    monkeypatch.setattr(RoPE, "rotate", watched)
    stack: Stack = model.decoder
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = stack(model.embedding(torch.arange(MAX_LEN)[None]))
    assert set(used) == {torch.float32}
    assert y.isfinite().all()


def slopes_of_the_paper(n: int) -> list[float]:
    """As in the code of Press et al. 2022, in whole powers of two."""
    if math.log2(n).is_integer():
        first = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [first * first**i for i in range(n)]
    closest = 2 ** math.floor(math.log2(n))
    return slopes_of_the_paper(closest) + slopes_of_the_paper(2 * closest)[0::2][: n - closest]


@pytest.mark.parametrize("n_heads", [1, 2, 3, 4, 6, 8, 12, 20, 25])
def test_invariant_13_alibi_slopes(n_heads: int) -> None:
    module = ALiBi(d_model=8, n_heads=n_heads, head_dim=4, max_len=4)
    bias = module.bias(torch.tensor([5]), torch.tensor([5, 4, 2]))[:, 0].double()
    slopes = torch.tensor(slopes_of_the_paper(n_heads), dtype=torch.float64)
    wanted = -slopes[:, None] * torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(bias, wanted, rtol=0, atol=1e-6)
