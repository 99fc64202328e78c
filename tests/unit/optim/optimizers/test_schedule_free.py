"""Schedule-free AdamW against its three sequences written out, and through whole runs."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.schedule_free import averaged, schedule_free
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.constant import Constant
from lightning_transformer.optim.schedule.cosine import Cosine
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import (
    DROPOUT,
    At,
    checkpoint,
    difference,
    history,
    interrupt,
    short_run,
    weights,
)

FREE = ("optimizer=schedule_free", "schedule=constant")
EXACTLY = "trainer.precision=64-true"


def one_matrix(*start: float) -> nn.Linear:
    layer = nn.Linear(len(start), 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([start]))
    return layer


def test_it_follows_the_three_sequences() -> None:
    """x, y, z and the rates of a warm-up as in the paper's algorithm 1, one number by itself."""
    lr, decay, beta1, beta2, eps = 0.1, 0.3, 0.8, 0.9, 1e-3
    layer = one_matrix(1.0, -2.0)
    optimizer = schedule_free(layer, lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2, eps=eps)
    gradients = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
    scheduler = lambda_lr(optimizer, Constant(warmup_steps=3), 7)
    for gradient in gradients:
        layer.weight.grad = gradient[None].clone()
        optimizer.step()
        scheduler.step()
    y = layer.weight.flatten().tolist()
    with averaged([optimizer]):
        x = layer.weight.flatten().tolist()
    for i, start in enumerate((1.0, -2.0)):
        hand_x = hand_y = hand_z = start
        v = weight_sum = 0.0
        for t, g in enumerate(gradients[:, i].tolist(), start=1):
            rate = lr * min(1.0, t / 3)
            v = beta2 * v + (1 - beta2) * g * g
            n = g / (math.sqrt(v / (1 - beta2**t)) + eps) + decay * hand_y
            hand_z -= rate * n
            weight_sum += rate**2
            c = rate**2 / weight_sum
            hand_x = (1 - c) * hand_x + c * hand_z
            hand_y = (1 - beta1) * hand_z + beta1 * hand_x
        assert y[i] == pytest.approx(hand_y, abs=1e-12)
        assert x[i] == pytest.approx(hand_x, abs=1e-12)
        assert abs(x[i] - y[i]) > 1e-3


def test_looking_at_the_average_changes_nothing() -> None:
    one, other = one_matrix(1.0, -2.0).float(), one_matrix(1.0, -2.0).float()
    first, second = schedule_free(one), schedule_free(other)
    for step in range(5):
        for layer, optimizer in ((one, first), (other, second)):
            layer.weight.grad = torch.tensor([[0.3, -1.7 * step]])
            optimizer.step()
        before = one.weight.clone()
        first.eval()
        first.eval()  # twice is once
        assert step == 0 or not torch.equal(one.weight, before)
        first.train()
        assert torch.equal(one.weight, other.weight)
    assert set(first.state[one.weight]) == {"z", "exp_avg_sq"}


def test_before_the_first_step_the_average_is_the_weights() -> None:
    layer = one_matrix(1.0, -2.0)
    before = layer.weight.clone()
    with averaged([schedule_free(layer), adamw(layer)]):
        assert torch.equal(layer.weight, before)
    assert torch.equal(layer.weight, before)


def test_a_saved_average_goes_on_from_the_weights_of_training() -> None:
    layer, other = one_matrix(1.0, -2.0), one_matrix(5.0, 5.0)
    optimizer, resumed = schedule_free(layer), schedule_free(other)
    for _ in range(3):
        layer.weight.grad = torch.tensor([[0.3, -1.7]], dtype=torch.float64)
        optimizer.step()
    with averaged([optimizer]):
        other.load_state_dict(layer.state_dict())
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert not torch.equal(other.weight, layer.weight)
    resumed.train()
    for each, own in ((layer, optimizer), (other, resumed)):
        each.weight.grad = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
        own.step()
    assert torch.equal(other.weight, layer.weight)


def test_a_dropped_gradient_leaves_all_as_it_is() -> None:
    layer = one_matrix(1.0, -2.0)
    optimizer = schedule_free(layer)
    layer.weight.grad = None
    optimizer.step()
    assert optimizer.param_groups[0]["n_steps"] == 0
    assert not optimizer.state


# -- in whole runs --------------------------------------------------------------------------------


def test_validation_test_and_checkpoints_have_the_average(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x from the y and z of every step, by hand, and what was judged, kept and tested."""
    after: list[dict[str, tuple[Tensor, Tensor]]] = []
    judged: list[dict[str, Tensor]] = []
    start, end = Transformer.on_validation_epoch_start, Transformer.on_train_batch_start

    def note(model: Transformer, *given: object) -> None:
        state = model.trainer.optimizers[0].state
        named = model.named_parameters()
        after.append({n: (p.detach().clone(), state[p]["z"].clone()) for n, p in named if state})
        end(model, *given)  # type: ignore[arg-type]

    def judge(model: Transformer) -> None:
        judged.append({n: p.detach().clone() for n, p in model.named_parameters()})
        start(model)

    monkeypatch.setattr(Transformer, "on_train_batch_start", note)
    monkeypatch.setattr(Transformer, "on_validation_epoch_start", judge)
    short_run(tmp_path / "run", *FREE, EXACTLY, "trainer.val_every=5", "trainer.max_steps=6")
    y_and_z = after[5]  # as the sixth step begins, after the validation of five
    for name, (y, z) in y_and_z.items():
        x = y + (z - y) * (1 - 1 / 0.9)
        torch.testing.assert_close(judged[0][name], x, rtol=0, atol=1e-12)
        assert not torch.equal(x, y)
    kept = checkpoint(tmp_path / "run")
    optimizer = kept["optimizer_states"][0]
    for name, value in judged[-1].items():
        assert torch.equal(kept["state_dict"][name], value)
    assert all(set(state) == {"y", "z", "exp_avg_sq"} for state in optimizer["state"].values())
    stored = load_file(tmp_path / "run" / "model.safetensors")  # what was tested
    best = weights(tmp_path / "run", "best")
    assert all(torch.equal(stored[name], best[name]) for name in stored)
    among = [all(torch.equal(best[n], v) for n, v in seen.items()) for seen in judged]
    assert any(among)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 4])
def test_a_stopped_run_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Stopped before a validation (a save of its own) and after one; how often it saves is free."""
    typed = (*FREE, *DROPOUT)
    short_run(tmp_path / "whole", *typed)
    with monkeypatch.context() as patch:
        At(patch, stop, interrupt)
        stopped = short_run(tmp_path / "cut", *typed, "trainer.save_every=1")
    assert (stopped.status, stopped.steps) == ("stopped", stop)
    short_run(tmp_path / "cut", *typed, "trainer.save_every=1", resume=True)
    assert difference(tmp_path / "cut", tmp_path / "whole") == 0
    assert difference(tmp_path / "cut", tmp_path / "whole", "best") == 0
    assert history(tmp_path / "cut") == history(tmp_path / "whole")
    assert read(tmp_path / "cut").metrics == read(tmp_path / "whole").metrics
    one, two = (checkpoint(tmp_path / name)["optimizer_states"][0] for name in ("cut", "whole"))
    assert one["param_groups"] == two["param_groups"]
    for number, state in one["state"].items():
        assert all(torch.equal(value, two["state"][number][key]) for key, value in state.items())


def test_a_finished_run_can_be_continued(tmp_path: Path) -> None:
    """With the schedule constant, six steps and three more are nine."""
    typed = (*FREE, *DROPOUT)
    short_run(tmp_path / "whole", *typed, "trainer.max_steps=9")
    short_run(tmp_path / "cut", *typed)
    short_run(tmp_path / "cut", *typed, "trainer.max_steps=9", resume=True)
    assert difference(tmp_path / "cut", tmp_path / "whole") == 0


# -- refusals -------------------------------------------------------------------------------------


def test_a_falling_schedule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="use schedule=constant") as caught:
        lambda_lr(schedule_free(nn.Linear(2, 2)), Cosine(), 1000)
    assert "\n" not in str(caught.value)
    lambda_lr(schedule_free(nn.Linear(2, 2)), Constant(), 1000)
    with pytest.raises(ConfigError, match=r"^optimizer: .*Linear is; use schedule=constant"):
        short_run(tmp_path / "run", "optimizer=schedule_free", "schedule=linear")


def test_another_average_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="callbacks=ema would average weights that") as caught:
        short_run(tmp_path / "run", *FREE, "callbacks=ema")
    assert "\n" not in str(caught.value)


def test_weights_in_which_an_average_stands_still_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs weights of float32.*bf16-mixed") as caught:
        schedule_free(nn.Linear(2, 2, dtype=torch.bfloat16))
    assert "\n" not in str(caught.value)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^optimizer\.beta1=0.0 must be a positive number"):
        schedule_free(nn.Linear(2, 2), beta1=0.0)
