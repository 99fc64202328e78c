"""What all architectures share: the loss of a step, seeds of dropout, clipping, evaluation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.tasks.base import Batch
from tests.conftest import options, tiny
from tests.unit.tasks.drawn import drawn_batch, examples


def in_training(model: Any, *, accumulate: int = 1, step: int = 0) -> Any:
    """The model with the few facts that a step asks its trainer for."""
    facts = {"global_step": step, "global_rank": 0}
    trainer = SimpleNamespace(accumulate_grad_batches=accumulate, world_size=1, **facts)
    model.__class__ = type("InTraining", (type(model),), {"trainer": trainer, **facts})
    return model


@pytest.mark.parametrize("task", ["causal_lm", "masked_lm", "seq2seq", "tagging"])
def test_gradients_do_not_depend_on_the_cut_into_micro_batches(task: str) -> None:
    kinds = {"causal_lm": "decoder_only", "seq2seq": "encoder_decoder"}
    overrides = (f"model={kinds.get(task, 'encoder_only')}", f"task={task}")
    rows = examples(tiny(*overrides).task.example, 8, seed=3)

    def gradients(accumulate: int) -> tuple[list[torch.Tensor], float]:
        model = in_training(tiny(*overrides), accumulate=accumulate)
        collate, size = model.task.collator("train"), 8 // accumulate
        parts = [collate(rows[i : i + size], list(range(i, i + size))) for i in range(0, 8, size)]
        total = sum(part.n_targets for part in parts)
        for number, part in enumerate(parts):
            # Lightning divides what a step returns by the number of micro-batches.
            batch = part._replace(step_targets=total)
            (model.training_step(batch, number) / accumulate).backward()
        nll, n_targets = model.train_loss.take()
        return [p.grad for p in model.parameters()], nll / n_targets

    (whole, loss), (cut, cut_loss) = gradients(1), gradients(4)
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    assert cut_loss == pytest.approx(loss, rel=1e-10)


def test_a_step_without_targets_has_no_gradient_and_no_nan() -> None:
    model = in_training(tiny("model=encoder_only", "task=masked_lm"))
    batch = drawn_batch(model.task)
    none = torch.tensor(0)
    empty = batch._replace(
        labels=torch.full_like(batch.labels, -100), n_targets=none, step_targets=none
    )
    loss = model.training_step(empty, 0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)
    assert (model.step_targets.take_idle(), model.step_targets.take_idle()) == (1, 0)


def test_steps_without_targets_are_counted_once_for_all_their_micro_batches() -> None:
    model = in_training(tiny("model=encoder_only", "task=masked_lm"), accumulate=2)
    batch = drawn_batch(model.task)
    none = torch.tensor(0)
    empty = batch._replace(
        labels=torch.full_like(batch.labels, -100), n_targets=none, step_targets=none
    )
    half_empty = (empty._replace(step_targets=batch.n_targets), batch)
    for step in ((empty, empty), half_empty, (batch, batch), (empty, empty)):
        for micro, part in enumerate(step):
            model.training_step(part, micro)
    assert model.step_targets.take_idle() == 2


def test_dropout_follows_from_seed_step_and_micro_batch() -> None:
    def drawn(step: int, batch_idx: int, seed: int = 1) -> float:
        model = in_training(tiny(), accumulate=2, step=step)
        model.dropout_seed = seed
        model.on_train_batch_start(drawn_batch(model.task), batch_idx)
        return float(torch.rand(()))

    assert drawn(3, 0) == drawn(3, 0) == drawn(3, 2)  # the first micro-batch of the step
    assert len({drawn(3, 0), drawn(3, 1), drawn(4, 0), drawn(3, 0, seed=2)}) == 4


def test_clipping_keeps_the_norm_from_before() -> None:
    model = tiny()
    batch = drawn_batch(model.task)
    (100 * model.task(model.features(batch), batch).objective).backward()
    before = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    model.configure_gradient_clipping(None, 1.5)
    after = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    torch.testing.assert_close(model.grad_norm, before)
    assert float(after) == pytest.approx(1.5, rel=1e-5)
    model.configure_gradient_clipping(None, None)
    torch.testing.assert_close(model.grad_norm, after)


def test_the_seed_decides_the_weights_and_variants_share_theirs() -> None:
    plain, other = tiny(), tiny("norm=layernorm", "position=learned", "model.n_layers=3")
    shared = {n: p for n, p in plain.named_parameters() if p.ndim > 1 and "residual" not in n}
    assert len(shared) > 10
    theirs = dict(other.named_parameters())
    for name, parameter in shared.items():
        if "out" in name or "down" in name:
            continue  # smaller, because of the third layer
        assert torch.equal(parameter, theirs[name]), name


@pytest.mark.parametrize("model", options("model"))
def test_state_dict_holds_all_of_a_model(model: str) -> None:
    one, two = tiny(f"model={model}"), tiny(f"model={model}")
    with torch.no_grad():
        for parameter in one.parameters():
            parameter += 0.1
    two.load_state_dict(one.state_dict())
    batch = drawn_batch(one.task)
    assert torch.equal(one.features(batch), two.features(batch))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["model.d_model=0"], "d_model=0 must be at least 1"),
        (["model.dropout=1.0"], "dropout=1.0 must be at least 0 and below 1"),
        (["model.n_layers=0"], "n_layers=0 must be at least 1"),
        (["model.d_model=30"], "model.d_model=30 is not divisible by attention.n_heads=4"),
    ],
)
def test_refuses(overrides: list[str], line: str) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        tiny(*overrides)
    assert "\n" not in str(caught.value)


def test_an_encoder_does_not_generate() -> None:
    model = tiny("model=encoder_only")
    with pytest.raises(ValueError, match="EncoderOnly does not generate; use decoder_only"):
        model.begin([np.array([1, 2])])


def test_evaluation_goes_through_the_metrics_of_the_task() -> None:
    model: Any = tiny()
    model._fresh_metrics("val")
    batches = [drawn_batch(model.task, n, seed=n) for n in (4, 1)]
    with torch.no_grad():
        for batch in batches:
            model._evaluate(batch, "val")
        values = model.task.compute(model.evaluation)
        nll = sum(model.task(model.features(batch), batch).nll for batch in batches)
    assert float(values["loss"]) == pytest.approx(float(nll) / (5 * 15), rel=1e-9)
    assert not any("evaluation" in name for name in model.state_dict())


def test_a_batch_says_what_is_optional() -> None:
    ids = torch.tensor([[1]])
    assert Batch(ids, ids, ids.sum(), 1)[4:] == (None,) * 16
