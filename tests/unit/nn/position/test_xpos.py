"""position=xpos."""

import cmath
from typing import Any

import pytest
import torch

from lightning_transformer.errors import ConfigError
from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.position.xpos import XPos
from tests.conftest import build_tiny, compose_config, noise
from tests.helpers.assembly import assemble
from tests.unit.nn.position.scaled import sizes

N, K, GAMMA, LENGTH = 6, 8, 0.4, 16.0
Q, KEYS = noise(1, 1, N, K), noise(1, 1, N, K, seed=1)


def scores(xpos: XPos, first: int = 0) -> torch.Tensor:
    angles = xpos.angles(torch.arange(first, first + N))
    return (xpos.rotate(Q, angles) @ xpos.rotate_keys(KEYS, angles).mT)[0, 0]


def pairs(x: torch.Tensor, *, interleaved: bool) -> list[complex]:
    numbers = x.tolist()
    if interleaved:
        return [complex(numbers[2 * p], numbers[2 * p + 1]) for p in range(K // 2)]
    return [complex(numbers[p], numbers[p + K // 2]) for p in range(K // 2)]


def by_hand(n: int, m: int, *, interleaved: bool) -> float:
    """Each pair a complex number: turned by the distance, and faded by it (equation 12)."""
    a, b = (pairs(x, interleaved=interleaved) for x in (Q[0, 0, n], KEYS[0, 0, m]))
    total = 0.0
    for p in range(K // 2):
        zeta = (p / (K / 2) + GAMMA) / (1 + GAMMA)
        turn = cmath.exp(1j * (n - m) * 10000.0 ** (-2 * p / K))
        total += zeta ** ((n - m) / LENGTH) * (a[p] * b[p].conjugate() * turn).real
    return total


@pytest.mark.parametrize("interleaved", [False, True])
def test_scores_by_hand(interleaved: bool) -> None:
    xpos = XPos(gamma=GAMMA, scale_base=LENGTH, interleaved=interleaved, **sizes(K, 32))
    found = scores(xpos)
    for n in range(N):
        for m in range(n + 1):
            wanted = by_hand(n, m, interleaved=interleaved)
            assert float(found[n, m]) == pytest.approx(wanted, rel=0, abs=1e-12)


def test_scores_depend_on_the_distance_alone() -> None:
    xpos = XPos(scale_base=LENGTH, **sizes(K, 32))
    torch.testing.assert_close(scores(xpos, 25), scores(xpos), rtol=0, atol=1e-12)


def test_without_a_difference_between_pairs_it_is_rope() -> None:
    """A large gamma brings every zeta to 1."""
    rope = RoPE(**sizes(K, 32))
    angles = rope.angles(torch.arange(N))
    wanted = (rope.rotate(Q, angles) @ rope.rotate(KEYS, angles).mT)[0, 0]
    found = scores(XPos(gamma=1e15, **sizes(K, 32)))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_the_longest_row_fits_into_half_precision() -> None:
    xpos = XPos(**sizes(64, 5632))
    angles = xpos.angles(torch.tensor([0, 5631]))
    # What the fast pairs gain as keys at one end, they lose as queries.
    assert 900 < float(angles.abs().max()) < 1000
    turned = xpos.rotate_keys(noise(1, 2, 2, 64).half(), angles)
    assert turned.dtype == torch.float16
    assert turned.isfinite().all()


def test_a_stack_turns_queries_and_keys_apart() -> None:
    """Its contexts use both hooks: a key before the query has faded, and no score is as in rope."""
    model: Any = assemble(position="xpos")
    seen: list[Any] = []
    attention = model.decoder.blocks[0].attention
    attention.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    model.decoder(noise(1, 5, 16))
    context, x = seen[0], noise(1, 4, 5, 4)
    xpos = model.decoder.position
    angles = xpos.angles(torch.arange(5))
    assert torch.equal(context.rotate(x), xpos.rotate(x, angles))
    assert torch.equal(context.rotated_keys(x), xpos.rotate_keys(x, angles))
    assert not torch.equal(context.rotate(x), context.rotated_keys(x))


@pytest.mark.parametrize("kind", [EncoderOnly, EncoderDecoder])
def test_an_encoder_is_refused(kind: Any) -> None:
    line = (
        "position=xpos counts back from a query, and in an encoder queries also see what comes "
        "after them; use position=rope or model=decoder_only"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        assemble(kind, position="xpos")


def test_a_prefix_is_refused() -> None:
    line = "position=xpos counts back from a query, and with pattern=prefix the first 3 tokens also"
    with pytest.raises(ValueError, match=f"^{line} .*; use pattern=full or position=rope$"):
        assemble(position="xpos", pattern="prefix")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"gamma": 0.0}, "gamma=0.0 must be a positive number, for example 0.4$"),
        ({"scale_base": 0.0}, "scale_base=0.0 must be a positive number, for example 512.0$"),
        ({}, "scale_base=512.0 lets keys grow more than 1000-fold in rows of 8192 .*; use 743 or "),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        XPos(**options, **sizes(max_len=8192))
    XPos(scale_base=743.0, **sizes(max_len=8192))


def test_a_row_that_is_too_long_is_refused_by_the_name_of_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^position\.scale_base=512\.0 lets keys grow "):
        build_tiny(compose_config("position=xpos", "data.seq_len=8192"))
