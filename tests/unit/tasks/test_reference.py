"""The reference: the model as it was at the start, with its adapter off or with its values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.build import add_adapter, build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.batch import Batch
from lightning_transformer.tasks.reference import Reference, n_copied, needs_reference
from lightning_transformer.tasks.responses import response_log_probs
from lightning_transformer.training.preflight import memory
from tests.conftest import TINY, compose_config, exchanged, options, tiny
from tests.unit.tasks.drawn import drawn_batch

DROPOUT = ("attention.dropout=0.5", "residual.dropout=0.5")
KEEP_VALUES = ("none", "bitfit", "prompt", "prefix")


def adapted(option: str, *own: str, task: str = "preference") -> Any:
    cfg = exchanged(compose_config(*TINY, f"task={task}", *own), adapter=option)
    model = build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=1).double()
    add_adapter(cfg, model)
    return model


def moved(model: Any) -> None:
    """Change all that is trained."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)


@torch.no_grad()
def scored(model: Any, batch: Batch) -> Tensor:
    """What a copy of the model, which nothing trains, gives the answers."""
    alone = copy.deepcopy(model).eval()
    features = alone.features(batch)
    return response_log_probs(alone.task, features, batch.responses, batch.places).sums


@pytest.mark.parametrize("option", [name for name in options("adapter") if name != "head"])
def test_it_stays_the_start_whatever_is_trained(option: str) -> None:
    model = adapted(option, "attention.bias=true", *DROPOUT)
    batch = drawn_batch(model.task)
    before = scored(model, batch)
    reference = Reference()
    reference.begin(model)
    moved(model.train())
    now = scored(model, batch)
    reference.begin(model)  # it has begun
    after = reference.log_probs(model, batch, batch.responses).sums
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not after.requires_grad
    assert not torch.equal(now, before)
    torch.testing.assert_close(scored(model, batch), now, rtol=0, atol=0)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    state = reference.state()
    assert state is not None
    assert trained <= state.keys() if option in KEEP_VALUES else state == {}
    assert all(m.training for m in model.modules())


def test_it_goes_on_from_a_checkpoint_in_another_precision() -> None:
    model = adapted("none")
    batch = drawn_batch(model.task)
    before, first = scored(model, batch), Reference()
    first.begin(model)
    moved(model)
    second, state = Reference(), first.state()
    second.load(state and {name: value.float() for name, value in state.items()})
    found = second.log_probs(model, batch, batch.responses).sums
    torch.testing.assert_close(found, before, rtol=1e-5, atol=1e-5)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert Reference().state() is None


def test_it_is_no_part_of_the_model_and_is_not_copied_with_it() -> None:
    model: Any = tiny("task=preference")
    names = list(model.state_dict())
    model.task.reference.begin(model)
    assert list(model.state_dict()) == names
    assert copy.deepcopy(model).task.reference is model.task.reference
    n_params = sum(p.numel() for p in model.parameters())
    assert n_copied(model) == n_params


def test_the_memory_check_counts_what_is_kept_for_both_tasks() -> None:
    """8 bytes more per trained weight than the values themselves, and 4 for those of the start."""
    for task, without in (("preference", "preference=simpo"), ("reward", "task.kl_coef=0")):
        own = () if task == "preference" else ("reward=length", "reward.target=3")
        cfg = compose_config(*TINY, f"task={task}", *own)
        models = [tiny(f"task={task}", *own), tiny(f"task={task}", *own, without)]
        n = sum(p.numel() for p in models[0].parameters())
        assert [memory._for_weights(cfg, model) for model in models] == [16 * n, 12 * n]
        assert n_copied(adapted("lora", *own, task=task)) == 0
        biases = adapted("bitfit", *own, "attention.bias=true", task=task)
        assert n_copied(biases) == sum(p.numel() for p in biases.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", options("preference"))
def test_no_value_is_counted_where_the_loss_has_no_reference(name: str) -> None:
    model: Any = tiny("task=preference", f"preference={name}")
    reads = model.task.preference.needs_reference
    assert needs_reference(model.task) == reads
    assert (n_copied(model) > 0) == reads
    assert not needs_reference(tiny("task=instruct").task)
