"""Training: where the loss begins, that one batch is learned by heart, that every option trains."""

from __future__ import annotations

import inspect
import itertools
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from omegaconf import DictConfig

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import IGNORE, Batch
from tests.conftest import (
    TINY,
    build_tiny,
    compose_config,
    exchanged,
    options,
    tiny,
    training_kernels,
)
from tests.helpers.assembly import shrink
from tests.helpers.refusals import companions, refused
from tests.helpers.variants import content, model_of, small
from tests.unit.tasks.drawn import drawn_batch

# Each task on an architecture that suits it; both encoders and decoders see every option below.
PAIRINGS = {task: model_of(task) for task in options("task")}

# Groups whose options are exchanged in the composed configuration of an architecture.
GROUPS = (
    "norm",
    "qk_norm",
    "activation",
    "ffn",
    "position",
    "kernel",
    "attention",
    "pattern",
    "residual",
    "block",
    "layer_sharing",
    "embedding",
    "init",
    "loss",
    "optimizer",
    "schedule",
)


# What is put together otherwise where there is an encoder; the rest is tested there when slow.
BY_KIND = {
    "encoder_only": (),
    "encoder_decoder": ("attention", "position", "pattern", "block", "layer_sharing", "embedding"),
}


def loss_of(model: Transformer, batch: Batch) -> torch.Tensor:
    return model.task(model.features(batch), batch).objective / batch.n_targets


def optimizer_steps(model: Transformer, batches: list[Batch], total: int) -> list[float]:
    """One optimizer step per batch, with the model's own optimizer and schedule; the losses."""
    optimizer = model.make_optimizer(model)
    rates = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for step, batch in enumerate(batches):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * model.schedule(step, total)
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_every_architecture_has_a_task() -> None:
    assert set(PAIRINGS.values()) == set(options("model"))


@pytest.mark.parametrize("task", PAIRINGS)
def test_an_untrained_model_guesses_evenly(task: str) -> None:
    """Over all classes, or 0 where it gives a number."""
    model = tiny(f"model={PAIRINGS[task]}", f"task={task}")
    batch = drawn_batch(model.task, 32)
    with torch.no_grad():
        loss = float(model.task(model.features(batch), batch).nll / batch.n_targets)
    chance = model.task.chance()
    n_classes = model.task.head.out_features
    without = math.log(n_classes) if n_classes > 1 else float(batch.labels.double().square().mean())
    guessing = chance.get("loss", without)
    assert abs(loss - guessing) < 0.1


@pytest.mark.parametrize("task", PAIRINGS)
def test_one_batch_is_learned_by_heart(task: str, tmp_path: Path) -> None:
    model = tiny(
        f"model={PAIRINGS[task]}",
        f"task={task}",
        *small("task", task, tmp_path),
        # A run keeps a reference; without one the others go on from where they are.
        *(["preference=chosen"] if task == "preference" else []),
        "optimizer=adamw",
        "optimizer.lr=0.01",
        "optimizer.weight_decay=0.0",
        "schedule=linear",
        "schedule.warmup_steps=20",
        dtype=torch.float32,
    ).train()
    batch = drawn_batch(model.task, 4)
    losses = optimizer_steps(model, [batch] * 200, 200)
    assert losses[-1] < 0.01 + left_open(model, batch)


def left_open(model: Transformer, batch: Batch) -> float:
    """Nats per target that the batch leaves open: rows that begin alike and go on differently."""
    if not model.causal or batch.labels.shape != batch.input_ids.shape or model.has_source:
        return 0.0
    targets: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for row, labels in zip(batch.input_ids.tolist(), batch.labels.tolist(), strict=True):
        for place, label in enumerate(labels):
            if label != IGNORE:
                targets[tuple(row[: place + 1])][label] += 1
    nats = -sum(n * math.log(n / each.total()) for each in targets.values() for n in each.values())
    return nats / int(batch.n_targets)


def cases() -> list[Any]:
    return [
        pytest.param(
            *(kind, group, option),
            id=f"{kind}-{group}={option}",
            # An encoder's layers stand in an encoder-decoder too, which learns like a decoder.
            marks=() if kind == "decoder_only" or group in BY_KIND[kind] else pytest.mark.slow,
        )
        for kind in options("model")
        for group in GROUPS
        for option in (training_kernels() if group == "kernel" else options(group))
        if f"{group}={option}" not in refused()[kind]
    ]


def configured(kind: str, group: str, option: str) -> DictConfig:
    """The option in an architecture, with what it takes instead of defaults that it refuses."""
    typed = [*TINY, f"model={kind}"]
    cfg = compose_config(*typed)
    if "defaults" in content(group, option):
        choices = {group: option} | companions(cfg, group, option)
        cfg = compose_config(*typed, *(f"{g}={name}" for g, name in choices.items()))
    else:
        cfg = exchanged(cfg, **{group: option})
    shrink(cfg[group])
    return cfg


def trainable(cfg: DictConfig) -> Transformer:
    """The model, with the first optimizer that takes its initialisation if the default does not."""
    others = (exchanged(cfg, optimizer=name) for name in options("optimizer"))
    for chosen in itertools.chain([cfg], others):
        model = build_tiny(chosen, torch.float32).train()
        try:
            model.make_optimizer(model)
        except ValueError:
            continue
        return model
    raise AssertionError("no optimizer takes this model")


@pytest.mark.parametrize(("kind", "group", "option"), cases())
def test_two_steps_with_every_option(kind: str, group: str, option: str) -> None:
    cfg = configured(kind, group, option)
    cfg.schedule.warmup_steps = 1
    model = build_tiny(cfg, torch.float32).train() if group == "optimizer" else trainable(cfg)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [drawn_batch(model.task, seed=seed) for seed in (0, 1)]
    losses = optimizer_steps(model, batches, 10)
    assert all(map(math.isfinite, losses))
    moved = [not torch.equal(value, before[name]) for name, value in model.state_dict().items()]
    assert any(moved)
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


@pytest.mark.parametrize("pooling", options("pooling"))
def test_two_steps_with_every_pooling(pooling: str) -> None:
    base = compose_config(*TINY, "model=encoder_only", "task=classification")
    model = build_tiny(exchanged(base, pooling=pooling), torch.float32).train()
    losses = optimizer_steps(model, [drawn_batch(model.task, seed=s) for s in (0, 1)], 1000)
    assert all(map(math.isfinite, losses))


@pytest.mark.parametrize("preset", options("preset"))
def test_two_steps_with_every_preset(preset: str) -> None:
    model = tiny(f"preset={preset}", dtype=torch.float32).train()
    losses = optimizer_steps(model, [drawn_batch(model.task, seed=s) for s in (0, 1)], 1000)
    assert all(map(math.isfinite, losses))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_two_steps_in_other_precisions(dtype: torch.dtype) -> None:
    model = tiny("norm=layernorm", dtype=dtype).train()
    losses = optimizer_steps(model, [drawn_batch(model.task, seed=s) for s in (0, 1)], 1000)
    exact = tiny("norm=layernorm", dtype=torch.float64).train()
    wanted = optimizer_steps(exact, [drawn_batch(exact.task, seed=s) for s in (0, 1)], 1000)
    assert losses == pytest.approx(wanted, abs=2e-2)


def test_dropout_draws_from_the_global_generator_and_stops_in_evaluation() -> None:
    model: Any = tiny("model.dropout=0.3", "residual.dropout=0.3", "attention.dropout=0.3")
    batch = drawn_batch(model.task)
    assert torch.equal(model.features(batch), model.features(batch))
    model.train()
    torch.manual_seed(0)
    first = model.features(batch)
    assert not torch.equal(model.features(batch), first)
    torch.manual_seed(0)
    assert torch.equal(model.features(batch), first)


def test_what_lightning_asks_in_each_step_costs_no_search() -> None:
    """The name that it sets, and the signature that it reads; everything else is as in torch."""
    assert "_current_fx_name" in vars(L.LightningModule())  # or the short way is of no use
    model: Any = tiny()
    model._current_fx_name = "training_step"
    assert vars(model)["_current_fx_name"] == "training_step"
    model.gain = torch.nn.Parameter(torch.ones(1))
    assert dict(model.named_parameters())["gain"] is model.gain
    args = inspect.getfullargspec(model.training_step).args
    assert args == ["self", "batch", "batch_idx"]
    assert inspect.signature(Transformer.training_step) is Transformer.training_step.__signature__


def test_an_update_leaves_no_gradient_to_add_to_the_next_forward_pass() -> None:
    model = tiny()
    optimizer = model.make_optimizer(model)
    before = model.embedding.weight.detach().clone()

    def closure() -> torch.Tensor:
        loss = loss_of(model, drawn_batch(model.task))
        loss.backward()
        return loss

    model.optimizer_step(0, 0, optimizer, closure)
    assert not torch.equal(model.embedding.weight, before)
    assert all(p.grad is None for p in model.parameters())
