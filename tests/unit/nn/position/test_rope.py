"""position=rope."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.position.rope import RoPE
from tests.conftest import noise


def make(head_dim: int = 8, **options: Any) -> RoPE:
    return RoPE(d_model=2 * head_dim, n_heads=2, head_dim=head_dim, max_len=16, **options)


def rotated(rope: RoPE, x: Tensor, positions: Tensor) -> Tensor:
    return rope.rotate(x, rope.angles(positions))


def test_formula_pair_by_pair() -> None:
    x, wanted = noise(8), torch.empty(8, dtype=torch.float64)
    for i in range(4):
        angle = 5 / 100.0 ** (2 * i / 8)
        a, b = float(x[i]), float(x[i + 4])
        wanted[i] = a * math.cos(angle) - b * math.sin(angle)
        wanted[i + 4] = a * math.sin(angle) + b * math.cos(angle)
    y = rotated(make(base=100.0), x.reshape(1, 1, 1, 8), torch.tensor([5]))
    torch.testing.assert_close(y.flatten(), wanted, rtol=0, atol=1e-12)


def test_equals_the_rotation_of_transformers() -> None:
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    config = llama.LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=64)
    q, k, places = noise(3, 2, 64, 16), noise(3, 2, 64, 16, seed=1), torch.arange(64)
    cos, sin = llama.LlamaRotaryEmbedding(config)(q, places[None])
    theirs = llama.apply_rotary_pos_emb(q, k, cos, sin)
    rope = make(head_dim=16)
    for x, wanted in zip((q, k), theirs, strict=True):
        # Theirs computes angles in float32.
        torch.testing.assert_close(rotated(rope, x, places), wanted, rtol=0, atol=2e-5)


def test_scores_depend_on_the_distance_alone() -> None:
    q, k, rope = noise(1, 2, 6, 8), noise(1, 2, 6, 8, seed=1), make()

    def scores(shift: int) -> Tensor:
        places = torch.arange(6) + shift
        return rotated(rope, q, places) @ rotated(rope, k, places).mT

    torch.testing.assert_close(scores(1000), scores(0), rtol=0, atol=1e-9)
    same = rotated(rope, q[:, :, :1].expand(1, 2, 6, 8), torch.arange(6))
    again = rotated(rope, k[:, :, :1].expand(1, 2, 6, 8), torch.arange(6))
    by_distance = same @ again.mT
    torch.testing.assert_close(by_distance[..., 1:, 1:], by_distance[..., :-1, :-1])
    assert not torch.allclose(by_distance[..., 0, 1], by_distance[..., 1, 0])  # sees order


def test_lengths_are_kept_and_position_zero_is_left_alone() -> None:
    x, rope = noise(1, 1, 5, 8), make()
    y = rotated(rope, x, torch.arange(5))
    torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1), rtol=0, atol=1e-12)
    assert torch.equal(y[:, :, 0], x[:, :, 0])


def test_angles_are_exact_at_32k_in_a_bfloat16_model() -> None:
    rope = make(head_dim=64).bfloat16()
    places = torch.tensor([1, 257, 4095, 32767])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        turn = rope.angles(places)
    for t, cos, sin in zip(places.tolist(), turn[0], turn[1], strict=True):
        for i in range(32):
            angle = t * 10000.0 ** (-2 * i / 64)
            assert abs(float(cos[i]) - math.cos(angle)) < 1e-6
            assert abs(float(sin[i]) - math.sin(angle)) < 1e-6


def test_rows_may_have_positions_of_their_own() -> None:
    x, rope = noise(2, 2, 3, 8), make()
    positions = torch.tensor([[0, 0, 1], [7, 8, 9]])
    y = rotated(rope, x, positions)
    for row in range(2):
        alone = rotated(rope, x[row : row + 1], positions[row])
        torch.testing.assert_close(y[row : row + 1], alone, rtol=0, atol=1e-12)


def test_interleaved_formula_pair_by_pair() -> None:
    x, wanted = noise(8), torch.empty(8, dtype=torch.float64)
    for i in range(4):
        angle = 5 / 100.0 ** (2 * i / 8)
        a, b = float(x[2 * i]), float(x[2 * i + 1])
        wanted[2 * i] = a * math.cos(angle) - b * math.sin(angle)
        wanted[2 * i + 1] = a * math.sin(angle) + b * math.cos(angle)
    y = rotated(make(base=100.0, interleaved=True), x.reshape(1, 1, 1, 8), torch.tensor([5]))
    torch.testing.assert_close(y.flatten(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_layouts_are_the_same_up_to_the_order_of_the_numbers(fraction: float) -> None:
    x, places = noise(2, 2, 5, 8), torch.arange(5)
    width = int(8 * fraction)
    order = torch.cat(
        (torch.arange(0, width, 2), torch.arange(1, width, 2), torch.arange(width, 8))
    )
    half = rotated(make(fraction=fraction), x[..., order], places)
    turned = rotated(make(fraction=fraction, interleaved=True), x, places)
    assert torch.equal(half, turned[..., order])


def test_interleaved_equals_gptj_of_transformers() -> None:
    gptj = pytest.importorskip("transformers.models.gptj.modeling_gptj")
    x = noise(1, 9, 2, 16)  # (B, T, H, K)
    sin, cos = gptj.create_sinusoidal_positions(9, 8)[None].chunk(2, dim=-1)
    turned = gptj.apply_rotary_pos_emb(x[..., :8], sin.double(), cos.double())
    wanted = torch.cat((turned, x[..., 8:]), dim=-1).transpose(1, 2)
    rope = make(head_dim=16, fraction=0.5, interleaved=True)
    y = rotated(rope, x.transpose(1, 2), torch.arange(9))
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-5)


def test_fraction_equals_gpt_neox_of_transformers() -> None:
    neox = pytest.importorskip("transformers.models.gpt_neox.modeling_gpt_neox")
    parameters = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}
    config = neox.GPTNeoXConfig(
        hidden_size=32,
        num_attention_heads=2,
        rope_parameters=parameters,
        max_position_embeddings=64,
    )
    q, k, places = noise(3, 2, 64, 16), noise(3, 2, 64, 16, seed=1), torch.arange(64)
    cos, sin = neox.GPTNeoXRotaryEmbedding(config)(q, places[None])
    assert cos.shape[-1] == 4
    rope = make(head_dim=16, fraction=0.25)
    for x, wanted in zip((q, k), neox.apply_rotary_pos_emb(q, k, cos, sin), strict=True):
        torch.testing.assert_close(rotated(rope, x, places), wanted, rtol=0, atol=2e-5)


def test_what_is_not_turned_is_left_alone_in_bfloat16() -> None:
    x = noise(1, 2, 4, 8).bfloat16()
    y = rotated(make(fraction=0.5), x, torch.arange(4))
    assert y.dtype == torch.bfloat16
    assert torch.equal(y[..., 4:], x[..., 4:])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"head_dim": 7}, r"position=rope needs an even head_dim; got 7 \(d_model 14, n_heads 2\)"),
        (
            {"fraction": 0.4},
            "fraction=0.4 must leave an even number to turn of the 8 numbers .* nearest 0.5",
        ),
        ({"fraction": 0.1}, "fraction=0.1 must leave .* nearest 0.25"),
        ({"fraction": 1.5}, "fraction=1.5 must be above 0 and at most 1, for example 0.5"),
        ({"fraction": math.nan}, "fraction=nan must be above 0 and at most 1"),
        ({"base": 0.0}, "base=0.0 must be a positive number, for example 10000.0"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        make(**options)
