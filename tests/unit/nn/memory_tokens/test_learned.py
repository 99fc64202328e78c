"""memory_tokens=learned: rows of a plain stack that begin with the learned vectors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lightning_transformer.build import build
from lightning_transformer.models.size import measure
from lightning_transformer.nn.memory_tokens.base import widened
from lightning_transformer.nn.memory_tokens.learned import LearnedMemoryTokens
from lightning_transformer.training.preflight.build import check_packing
from tests.conftest import TINY, build_tiny, compose_config, exchanged, noise
from tests.unit.tasks.drawn import drawn_batch

N, D = 3, 32


def configured(model: str = "decoder_only", n: int = N, **choices: str) -> DictConfig:
    """Two narrow layers with memory, or without where n is 0; windows of 2 tokens."""
    cfg = compose_config(*TINY, f"model={model}", "qk_norm=none", "norm=layernorm", "kernel=eager")
    for key in ("n_layers", "n_encoder_layers", "n_decoder_layers"):
        if key in cfg.model:
            cfg.model[key] = 2
    cfg = exchanged(cfg, memory_tokens="learned" if n else "none", **choices)
    if n:
        cfg.memory_tokens.n_tokens = n
    if "window" in cfg.pattern:
        cfg.pattern.window = 2
    return cfg


def stacks(**choices: str) -> tuple[Any, Any]:
    """One that has memory, and the same without it; biases and gains are not those of the start."""
    ours: Any = build_tiny(configured(**choices))
    theirs: Any = build_tiny(configured(n=0, **choices))
    with torch.no_grad():
        for seed, parameter in enumerate(ours.parameters()):
            parameter += 0.3 * noise(*parameter.shape, seed=seed)
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert missing == []
    assert all("memory_tokens" in name for name in unexpected)
    kind = "encoder" if hasattr(ours, "encoder") else "decoder"
    return getattr(ours, kind), getattr(theirs, kind)


def behind(stack: Any, x: Tensor) -> Tensor:
    return torch.cat((stack.memory_tokens.vectors.weight.expand(len(x), -1, -1), x), dim=1)


@pytest.mark.parametrize("model", ["decoder_only", "encoder_only"])
@torch.no_grad()
def test_equals_a_row_that_begins_with_the_vectors(model: str) -> None:
    ours, theirs = stacks(model=model, position="none")
    x = noise(2, 6, D)
    wanted = theirs(behind(ours, x))[:, N:]
    torch.testing.assert_close(ours(x), wanted, rtol=0, atol=1e-12)
    assert not torch.allclose(theirs(x), wanted)


@torch.no_grad()
def test_equals_attention_number_by_number() -> None:
    """One causal layer with rotation and a window: memory is at position 0, and always seen."""
    ours, _ = stacks(position="rope", pattern="sliding_window")
    ours.order, ours.views, ours.drop_rates = [0], ours.views[:1], [0.0]
    x, layer = noise(1, 5, D), ours.blocks[0].attention
    h = ours.blocks[0].attention_residual.norm(behind(ours, x))
    q, k, v = ((h @ w.weight.T)[0].unflatten(-1, (4, -1)) for w in (layer.q, layer.k, layer.v))
    places = torch.tensor([0] * N + [0, 1, 2, 3, 4])
    angles = ours.position.angles(places)
    turn = lambda t: ours.position.rotate(t.transpose(0, 1)[None], angles)[0].transpose(0, 1)  # noqa: E731
    q, k = turn(q), turn(k)
    out = torch.zeros_like(v)
    for i in range(N + 5):
        near = [j for j in range(N, N + 5) if 0 <= i - j < 2] if i >= N else []
        seen = [*range(min(i + 1, N)), *near]
        for head in range(4):
            powers = [math.exp(float(q[i, head] @ k[j, head]) / math.sqrt(8)) for j in seen]
            for power, j in zip(powers, seen, strict=True):
                out[i, head] += power / sum(powers) * v[j, head]
    y = behind(ours, x) + out.flatten(1) @ layer.out.weight.T
    block = ours.blocks[0]
    y = y + block.ffn(block.ffn_residual.norm(y))
    torch.testing.assert_close(ours(x), ours.final_norm(y)[:, N:], rtol=0, atol=1e-12)


def test_a_mask_by_hand() -> None:
    tokens = torch.ones(2, 2, dtype=torch.bool).tril()
    drawn = {
        (2, 2, True): ["10  00", "11  00", "11  10", "11  11"],
        (2, 2, False): ["11  11", "11  11", "11  10", "11  11"],
        (2, 0, True): ["11  10", "11  11"],
    }
    for (n, n_new, causal), wanted in drawn.items():
        found = widened(tokens, n=n, n_new=n_new, causal=causal).int().tolist()
        assert found == [[int(c) for c in row.replace(" ", "")] for row in wanted]


@torch.no_grad()
def test_an_encoder_gathers_the_row_in_them_and_a_causal_model_does_not() -> None:
    """Beyond two windows of two tokens, only memory can carry what is elsewhere in the row."""
    narrow = {"position": "none", "pattern": "sliding_window"}
    x = noise(1, 6, D)
    other = x.clone()
    other[:, 2] += 1
    encoder, without = stacks(model="encoder_only", **narrow)
    assert (encoder(other)[:, 5] != encoder(x)[:, 5]).any()
    assert torch.equal(without(other)[:, 5], without(x)[:, 5])
    decoder, _ = stacks(**narrow)
    assert torch.equal(decoder(other)[:, 5], decoder(x)[:, 5])


def test_each_stack_has_its_own() -> None:
    model: Any = build_tiny(configured("encoder_decoder"))
    names = [name for name, _ in model.named_parameters() if "memory_tokens" in name]
    assert names == [f"{stack}.memory_tokens.vectors.weight" for stack in ("encoder", "decoder")]
    assert not torch.equal(*(model.get_parameter(name) for name in names))


def test_flops_are_those_that_torch_counts() -> None:
    """In an encoder, where a mask hides nothing: torch counts what it hides too."""
    model: Any = build_tiny(configured("encoder_only"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.task.head(model.encoder(noise(1, 16, D)))
    assert 16 * measure(model, 16).flops_per_token == 3 * counter.get_total_flops()


def test_experts_count_them_as_tokens() -> None:
    model: Any = build_tiny(configured(ffn="moe"))
    batch = drawn_batch(model.task)
    model.expert_load.listen()
    model.features(batch)
    model.expert_load.join(torch.zeros((), dtype=torch.float64), batch)
    chosen: list[Tensor] = []
    model.expert_load.statistics(lambda counts: chosen.append(counts) or counts)
    n_read = 4 * (batch.input_ids.shape[1] + N)
    assert chosen[0][:, :-1].sum(dim=1).tolist() == [2 * n_read] * 2


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        (
            {"model": "encoder_only"},
            r"^memory_tokens=learned .* in an encoder .* use packing=stream",
        ),
        ({"attention": "forgetting"}, r"^memory_tokens=learned .* documents between; use packing"),
        (
            {"attention": "mamba2", "position": "none"},
            r"^memory_tokens=learned .* documents between",
        ),
    ],
)
def test_packed_documents_are_refused_before_data_is_read(
    choices: dict[str, str], line: str
) -> None:
    cfg = configured(**choices, packing="documents")
    with pytest.raises(ValueError, match=line):
        check_packing(build_tiny(cfg), build(cfg, "data"))
    check_packing(build_tiny(configured(n=0, **choices)), build(cfg, "data"))
    check_packing(build_tiny(configured()), build(cfg, "data"))
    check_packing(build_tiny(configured(**choices)), build(configured(), "data"))


def test_refuses_none_of_them() -> None:
    with pytest.raises(ValueError, match=r"^n_tokens=0 must be at least 1"):
        LearnedMemoryTokens(D, n_tokens=0)
