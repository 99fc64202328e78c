"""attention=mla."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.base import Kernel
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.mla import MLA
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise
from tests.unit.nn.attention.references import D, T, angles, cos_sin, hugging_face, made, turning

SIZES = {"head_dim": 5, "rope_dim": 4, "value_dim": 3, "kv_rank": 7}
THEIRS = {"qk_nope_head_dim": 5, "qk_rope_head_dim": 4, "v_head_dim": 3, "kv_lora_rank": 7}
THEIRS |= {"num_key_value_heads": 4}
KERNELS: Any = pytest.mark.parametrize("kernel", [Eager(), SDPA()], ids=["eager", "sdpa"])


def copied(theirs: Any, kernel: Kernel, q_rank: int | None) -> Any:
    ours = made(MLA, kernel=kernel, qk_norm=RMSNorm, bias=True, q_rank=q_rank, **SIZES)
    names = {
        "kv_down": "kv_a_proj_with_mqa",
        "kv_norm": "kv_a_layernorm",
        "kv_up": "kv_b_proj",
        "out": "o_proj",
        "q_up": "q_proj" if q_rank is None else "q_b_proj",
    }
    if q_rank is not None:
        names |= {"q_down": "q_a_proj", "q_norm": "q_a_layernorm"}
    for mine, other in names.items():
        getattr(ours, mine).load_state_dict(getattr(theirs, other).state_dict())
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    return ours


def pairwise(width: int) -> AttentionContext:
    """Causal, with neighbours as the pairs that are turned."""
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), angles(width))

    def rotate(x: Tensor) -> Tensor:
        turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turn
        return torch.view_as_real(turned).flatten(-2)

    return AttentionContext(is_causal=True, rotate=rotate)


@KERNELS
@pytest.mark.parametrize("q_rank", [None, 8])
def test_equals_deepseek_v2_of_transformers(kernel: Kernel, q_rank: int | None) -> None:
    theirs = hugging_face(
        "deepseek_v2", "DeepseekV2", q_lora_rank=q_rank, attention_bias=True, **THEIRS
    )
    ours, x = copied(theirs, kernel, q_rank), noise(2, T, D)
    turn = torch.polar(torch.tensor(1.0), angles(4).float())[None]
    wanted, _ = theirs(x, position_embeddings=turn)
    # Their norms and rotation are computed in float32.
    torch.testing.assert_close(ours(x, pairwise(4)), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("q_rank", [None, 8])
def test_equals_deepseek_v3_of_transformers(q_rank: int | None) -> None:
    theirs = hugging_face(
        "deepseek_v3",
        "DeepseekV3",
        q_lora_rank=q_rank,
        attention_bias=True,
        rope_interleave=False,
        **THEIRS,
    )
    ours, x = copied(theirs, SDPA(), q_rank), noise(2, T, D)
    wanted, _ = theirs(x, cos_sin(4), None)
    # Their norms are computed in float32.
    torch.testing.assert_close(ours(x, turning(4)), wanted, rtol=0, atol=1e-5)


@KERNELS
@torch.no_grad()
def test_one_token_at_a_time_is_computed_on_latents(kernel: Kernel) -> None:
    """Three tokens, two tokens, then two by one, with positions: as all at once."""
    ours = made(MLA, kernel=kernel, qk_norm=RMSNorm, q_rank=8, scale=0.7, **SIZES)
    x, cache = noise(2, T, D), ours.new_cache(T)
    steps = [ours(x[:, :3], turning(4, 0, 3), cache=cache)]
    below = AttentionContext(
        torch.ones(2, 5).tril(3).bool()[None, None], rotate=turning(4, 3, 2).rotate
    )
    steps.append(ours(x[:, 3:5], below, cache=cache))
    ours.kv_up.forward = None  # from now on no key or value of a head is made
    steps += [ours(x[:, t : t + 1], turning(4, t, 1), cache=cache) for t in (5, 6)]
    del ours.kv_up.forward
    torch.testing.assert_close(torch.cat(steps, 1), ours(x, turning(4)), rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_cache_holds_latents_and_one_rotated_key() -> None:
    ours = made(MLA, **SIZES)
    cache = ours.new_cache(T)
    ours(noise(2, T, D), turning(4), cache=cache)
    k_rope, latent = cache.view()
    assert (k_rope.shape, latent.shape) == ((2, 1, T, 4), (2, 1, T, 7))


def test_sizes_by_default() -> None:
    """head_dim 6 of width 24 in 4 heads: r an even half, R four times as wide."""
    layer = MLA(D, kernel=Eager(), qk_norm=NoNorm)
    shapes = {name: tuple(weight.shape) for name, weight in layer.named_parameters()}
    assert shapes == {
        "q_up.weight": (4 * (6 + 2), 24),
        "kv_down.weight": (24 + 2, 24),
        "kv_up.weight": (4 * (6 + 6), 24),
        "out.weight": (24, 24),
    }
    assert layer.flops(10.0) == 2 * 4 * (6 + 2 + 6) * 10


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_heads": 0}, "n_heads=0 must be at least 1"),
        ({"n_heads": 5}, r"model\.d_model=24 is not divisible by attention\.n_heads=5"),
        ({"kv_rank": 0}, "kv_rank=0 must be at least 1"),
        ({"q_rank": 0}, "q_rank=0 must be at least 1"),
        ({"rope_dim": 0}, "rope_dim=0 must be at least 1"),
        ({"value_dim": -1}, "value_dim=-1 must be at least 1"),
        ({"head_dim": 0}, "head_dim=0 must be at least 1"),
        ({"scale": 0.0}, "scale=0.0 must be a positive number"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        MLA(D, kernel=Eager(), qk_norm=NoNorm, **options)


@KERNELS
@pytest.mark.parametrize("q_rank", [None, 6])
def test_contract_with_other_options(kernel: Kernel, q_rank: int | None) -> None:
    check_attention(
        partial(
            MLA, kernel=kernel, qk_norm=RMSNorm, q_rank=q_rank, scale=0.7, bias=True, value_dim=3
        )
    )
