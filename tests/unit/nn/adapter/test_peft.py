"""Adapters against peft, on a Llama of random weights in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from lightning_transformer.convert.families.llama import convert
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import merge_adapters, train_only
from lightning_transformer.nn.adapter.dora import dora
from lightning_transformer.nn.adapter.ia3 import ia3
from lightning_transformer.nn.adapter.lora import lora
from lightning_transformer.nn.adapter.rslora import rslora
from lightning_transformer.tasks.base import Batch
from tests.unit.convert.families.test_llama import SIZES
from tests.unit.convert.reference import IDS, ours, randomised

CLOSE = 1e-6
NAMES = {"q_proj": "attention.q", "v_proj": "attention.v", "k_proj": "attention.k",
         "down_proj": "ffn.down"}  # fmt: skip
LOW_RANK = {"lora_A": "a.weight", "lora_B": "b.weight", "lora_magnitude_vector": "length"}
TARGETS = ["q_proj", "v_proj"]
CASES = {
    "lora": (LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS), partial(lora, alpha=5.0)),
    "rslora": (
        LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS, use_rslora=True),
        partial(rslora, alpha=5.0),
    ),
    "dora": (
        LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS, use_dora=True),
        partial(dora, alpha=5.0),
    ),
    "ia3": (
        IA3Config(
            target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]
        ),
        ia3,
    ),
}


def both(kind: str) -> tuple[Any, Transformer]:
    """The same Llama with the same adapter, of which no part is zero, from peft and from here."""
    config, add = CASES[kind]
    rope = {"rope_type": "default", "rope_theta": 500000.0}
    theirs = randomised(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=rope)), std=0.1)
    mine = ours("llama3", theirs, convert)
    given = {} if kind == "ia3" else {"rank": 3}
    train_only(mine, add(mine, seed=1, **given).trained or (), new=())
    theirs = get_peft_model(theirs, config).double()
    generator = torch.Generator().manual_seed(0)
    pairs = parameters(theirs, mine)
    with torch.no_grad():
        for one, other in pairs.values():
            drawn = torch.randn(one.shape, generator=generator, dtype=torch.float64)
            one.copy_(0.2 * drawn if one.ndim == 2 and 1 not in one.shape else 1 + 0.2 * drawn)
            other.copy_(one.reshape(other.shape))
    return theirs, mine


def parameters(theirs: nn.Module, mine: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """peft's trained parameters with ours, by our names."""
    own, found = dict(mine.named_parameters()), {}
    for name, parameter in theirs.named_parameters():
        if not parameter.requires_grad:
            continue
        parts = name.split(".")
        layer = f"decoder.blocks.{parts[parts.index('layers') + 1]}"
        place = next(NAMES[part] for part in parts if part in NAMES)
        kind = next((LOW_RANK[part] for part in parts if part in LOW_RANK), "factors")
        key = f"{layer}.{place}.adapter.{kind}"
        found[key] = (parameter, own[key])
    return found


def logits_of(model: Transformer) -> Tensor:
    """(B, T, V), with gradients."""
    batch = Batch(IDS, IDS, torch.tensor(IDS.numel()), IDS.numel())
    return model.task.scores(model.features(batch), batch)[0].unflatten(0, IDS.shape)


def loss(logits: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())


@pytest.mark.parametrize("kind", CASES)
def test_scores_gradients_steps_and_merged_weights_are_those_of_peft(kind: str) -> None:
    theirs, mine = both(kind)
    pairs = parameters(theirs, mine)
    assert {n for n, p in mine.named_parameters() if p.requires_grad} == set(pairs)
    logits, reference = logits_of(mine), theirs(IDS).logits
    assert float((logits - reference).detach().abs().max()) < CLOSE
    loss(logits).backward()
    loss(reference).backward()
    for name, (one, other) in pairs.items():
        assert one.grad is not None, name
        assert other.grad is not None, name
        assert float((one.grad.reshape(other.shape) - other.grad).abs().max()) < CLOSE, name
    assert_same_course(mine, theirs, lambda: theirs(IDS).logits)
    with torch.no_grad():
        adapted = logits_of(mine)
        merge_adapters(mine)
        assert not [name for name, _ in mine.named_parameters() if "adapter" in name]
        assert float((logits_of(mine) - adapted).abs().max()) < CLOSE
        with theirs.disable_adapter():
            assert float((adapted - theirs(IDS).logits).abs().max()) > 0.01


def assert_same_course(
    mine: Transformer, theirs: nn.Module, their_logits: Callable[[], Tensor]
) -> None:
    """Ten steps of AdamW give both the same losses, which fall."""
    trained: list[Callable[[], Tensor]] = [
        lambda: loss(logits_of(mine)), lambda: loss(their_logits())
    ]  # fmt: skip
    courses = []
    for of, model in zip(trained, (mine, theirs), strict=True):
        model.zero_grad()
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        course = []
        for _ in range(10):
            value = of()
            course.append(float(value.detach()))
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
        courses.append(course)
    assert courses[0] == pytest.approx(courses[1], abs=CLOSE)
    assert courses[0][-1] < courses[0][0] - 0.01
