"""No float64 reaches a device that has none, such as Apple's GPUs: tried with a double of one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import IGNORE
from lightning_transformer.tasks.metrics.mean import Mean
from tests.conftest import TINY, build_tiny, compose_config, exchanged, options, tiny
from tests.helpers.device_double import Device, Float64OnDevice, without_float64
from tests.helpers.refusals import refused
from tests.helpers.variants import content, model_of
from tests.unit.models.test_base import in_training
from tests.unit.tasks.drawn import drawn_batch


def train(model: Any, device: Device) -> None:
    """One optimizer step as a run does it, and what is logged of it."""
    model.train()
    batch = device.put(drawn_batch(model.task))
    loss = model.training_step(batch, 0)
    assert device.holds(loss)
    loss.backward()
    assert all(device.holds(p.grad) for p in model.parameters() if p.grad is not None)
    optimizer = model.make_optimizer(model)
    model.on_before_optimizer_step(optimizer)
    model.configure_gradient_clipping(optimizer, 1.0)
    optimizer.step()
    # Of rewards it is their mean, which is 0 where no answer is right.
    assert model.take_train_loss() >= (0 if hasattr(model.task, "reward") else 1e-9)
    model.expert_load.statistics(model.total)


def evaluate(model: Any, device: Device, split: str) -> dict[str, float]:
    """Two batches of a split, and what is logged of them."""
    logged: dict[str, Any] = {}
    type(model).log_dict = lambda model, values, **_: logged.update(values)
    model.eval()
    getattr(model, f"on_{'validation' if split == 'val' else split}_epoch_start")()
    step = model.validation_step if split == "val" else model.test_step
    batches = [drawn_batch(model.task, split=split, seed=seed) for seed in (0, 1)]
    with torch.no_grad():
        for seed, batch in enumerate(batches):
            step(device.put(batch), seed)
    model._log_metrics(split)
    if split == "test":
        with_target = [(b.labels != IGNORE).view(len(b.labels), -1).any(dim=1) for b in batches]
        assert len(model.test_rows.compute()) == int(torch.cat(with_target).sum()) > 0
    assert all(value.dtype == torch.float32 for value in logged.values())
    return {name: float(value) for name, value in logged.items()}


def on_its_own(model: Transformer) -> Any:
    model = in_training(model)
    model.trainer.precision_plugin = None
    model.trainer.strategy = _Alone()
    return model


class _Alone:
    def reduce(self, value: torch.Tensor, **_: Any) -> torch.Tensor:
        return value


@pytest.mark.parametrize("task", options("task"))
def test_training_validation_and_test_of_every_task(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default models are among them."""
    model = on_its_own(tiny(f"model={model_of(task)}", f"task={task}", dtype=torch.float32))
    model.task.n_generated = 0
    exact = {split: evaluate(model, Device(), split) for split in ("val", "test")}
    with without_float64(monkeypatch, model) as device:
        found = {split: evaluate(model, device, split) for split in ("val", "test")}
        train(model, device)
    for split, values in found.items():
        assert values == pytest.approx(exact[split], rel=1e-5)  # angles are of float32 there
        assert values[f"{split}/loss"] > 0


# Of the layers that count on the device, those with experts; the others are tried when slow.
CASES = [
    pytest.param(group, option, marks=() if option == "moe" else pytest.mark.slow)
    for group in ("position", "attention", "ffn", "norm", "residual", "loss", "optimizer")
    for option in options(group)
    if f"{group}={option}" not in refused()["decoder_only"]
]


@pytest.mark.parametrize(("group", "option"), CASES)
def test_a_step_with_every_option(group: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "defaults" in content(group, option):
        cfg = compose_config(*TINY, f"{group}={option}")
    else:
        cfg = exchanged(compose_config(*TINY), **{group: option})
    model = on_its_own(build_tiny(cfg, torch.float32))
    with without_float64(monkeypatch, model) as device:
        train(model, device)


# -- the double itself ----------------------------------------------------------------------------


def test_the_double_refuses_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(3, 3)
    host = torch.ones(3, dtype=torch.float64)
    with without_float64(monkeypatch, layer) as device:
        x = layer(torch.ones(2, 3, device=torch.device("cpu")))
        assert device.holds(x)
        assert not device.holds(host + 1)
        assert not device.holds(x.detach().cpu().double())
        for wrong in (
            lambda: x.double(),
            lambda: torch.zeros(2, dtype=torch.float64, device=x.device),
            lambda: host.to(x.device),
            lambda: x + host,
            lambda: torch.zeros(3, dtype=torch.float64).add_(x[0]),
            lambda: torchmetrics_state().to(x.device),
        ):
            with pytest.raises(Float64OnDevice):
                wrong()
        Mean().to(x.device).update(x.sum(), 3)


def torchmetrics_state() -> nn.Module:
    """A metric as it was before: a float64 state that is moved with it."""
    metric = Mean()
    metric.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
    return metric
