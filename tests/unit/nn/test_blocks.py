"""Blocks computed again in the backward pass, and compiled blocks: the same numbers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.stack import Stack
from tests.conftest import options, tiny
from tests.unit.tasks.drawn import drawn_batch

DROPOUT = ("model.dropout=0.2", "residual.dropout=0.2", "attention.dropout=0.2")
KINDS = options("model")


def stacks(model: Any) -> list[Stack]:
    return [module for module in model.modules() if isinstance(module, Stack)]


def gradients(model: Any, seed: int = 0) -> list[Tensor]:
    model.train().zero_grad()
    batch = drawn_batch(model.task)
    torch.manual_seed(seed)
    model.task(model.features(batch), batch).objective.backward()
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("kind", KINDS)
def test_invariant_41_checkpointing_leaves_gradients_as_they_are(kind: str) -> None:
    model = tiny(f"model={kind}", *DROPOUT)
    wanted = [grad.clone() for grad in gradients(model)]
    names = list(model.state_dict())
    for stack in stacks(model):
        stack.checkpoint_blocks()
    for a, b in zip(gradients(model), wanted, strict=True):
        assert torch.equal(a, b)
    assert not all(map(torch.equal, gradients(model, seed=1), wanted))  # dropout was on
    assert list(model.state_dict()) == names


def test_checkpointing_computes_each_block_twice_and_only_in_training() -> None:
    model: Any = tiny()
    (stack,) = stacks(model)
    calls: list[int] = []
    stack.blocks[0].attention.register_forward_hook(lambda *_: calls.append(1))
    stack.checkpoint_blocks()
    gradients(model)
    assert len(calls) == 2
    with torch.no_grad():
        model.eval().features(drawn_batch(model.task))
    assert len(calls) == 3


def test_a_copy_of_a_checkpointed_model_computes_with_its_own_weights() -> None:
    model: Any = tiny()
    stacks(model)[0].checkpoint_blocks()
    other = copy.deepcopy(model)
    with torch.no_grad():
        stacks(other)[0].blocks[0].ffn.down.weight.zero_()
    batch = drawn_batch(model.task)
    assert not torch.equal(model.features(batch), other.features(batch))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [False, True])
def test_compiled_blocks_give_the_same_gradients(kind: str, again: bool) -> None:
    model = tiny(f"model={kind}")
    wanted = [grad.clone() for grad in gradients(model)]
    names = list(model.state_dict())
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for stack in stacks(model):
        if again:
            stack.checkpoint_blocks()
        stack.compile_blocks("aot_eager")
    for _ in range(3):
        for a, b in zip(gradients(model), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert list(model.state_dict()) == names
    # One graph for each kind of block, not one for each step.
    assert 0 < torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4
    torch._dynamo.reset()
