from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from lightning_transformer.errors import ConfigError, TrainingError
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read, read_history
from lightning_transformer.training.guard import base
from tests.helpers.short_runs import At, interrupt, short, short_run, type_in
from tests.unit.training.guard.poison import Poison, equal, nan_gradient, nan_loss, saved, spike

GUARD = ("guard=skip", "guard.window=16", "guard.after=8", "trainer.val_every=40")
STEPS = (*GUARD, "trainer.max_steps=40", "trainer.log_every=10")


@pytest.fixture(params=["on a CPU", "as on a GPU"])
def place(request, monkeypatch):
    monkeypatch.setattr(base, "reading_is_free", lambda device: request.param == "on a CPU")


class Watch:
    """Weights and optimizer at the beginning of each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        start = Transformer.on_train_batch_start
        self.seen: list[tuple[object, object]] = []

        def on_train_batch_start(model, batch, batch_idx):
            kept = ({k: v.clone() for k, v in model.state_dict().items()}, self.optimizer(model))
            self.seen.append(kept)
            start(model, batch, batch_idx)

        monkeypatch.setattr(Transformer, "on_train_batch_start", on_train_batch_start)

    @staticmethod
    def optimizer(model):
        state = model.trainer.optimizers[0].state_dict()["state"]
        return {p: {k: torch.as_tensor(v).clone() for k, v in s.items()} for p, s in state.items()}


@pytest.mark.parametrize(
    ("optimizer", "disturb"),
    [
        ("muon", spike),
        pytest.param("adamw", spike, marks=pytest.mark.slow),
        pytest.param("adamw", nan_loss, marks=pytest.mark.slow),
        ("sgd", nan_gradient),
    ],
)
def test_a_spike_changes_nothing(tmp_path, monkeypatch, capsys, place, disturb, optimizer):
    watch = Watch(monkeypatch)
    Poison(monkeypatch, [12, 13, 20], disturb)
    few = (*STEPS, "trainer.max_steps=22", "guard.sigmas=20", f"optimizer={optimizer}")
    result = short_run(tmp_path / "run", *few)
    assert (result.status, result.steps) == ("finished", 22)
    assert result.guard == {"skipped": 3, "rewound": 0}
    same = [equal(a, b) for a, b in pairwise(watch.seen)]
    assert [step for step, alike in enumerate(same, start=1) if alike] == [12, 13, 20]
    lines = [line for line in capsys.readouterr().out.splitlines() if "skipped: loss " in line]
    assert [line.split()[1] for line in lines] == ["12", "13", "20"]
    series = read_history(tmp_path / "run")
    assert [step for step, _ in series["guard/skipped_grad_norm"]] == [12, 13, 20]
    assert [step for step, _ in series["guard/skipped_loss"]] == [12, 13, 20]


def test_data_and_schedule_go_on(tmp_path, monkeypatch):
    def rates_and_data(name, at):
        rates, data = [], []
        with pytest.MonkeyPatch.context() as patch:
            step = Transformer.training_step

            def training_step(model, batch, batch_idx):
                rates.append(model.trainer.optimizers[0].param_groups[0]["lr"])
                data.append(batch.input_ids.clone())
                return step(model, batch, batch_idx)

            patch.setattr(Transformer, "training_step", training_step)
            Poison(patch, at, nan_loss)
            short_run(tmp_path / name, *STEPS, "trainer.max_steps=12")
        return rates, data

    assert equal(rates_and_data("whole", []), rates_and_data("skipped", [5]))


def test_a_run_without_spikes_is_the_same_run(tmp_path):
    few = ("trainer.max_steps=12", "trainer.val_every=12")
    short_run(tmp_path / "stop", *few)
    short_run(tmp_path / "skip", *few, "guard=skip", "guard.sigmas=1e6")
    one, other = saved(tmp_path / "stop"), saved(tmp_path / "skip")
    assert equal(one["state_dict"], other["state_dict"])
    assert equal(one["optimizer_states"], other["optimizer_states"])


@pytest.mark.slow
def test_its_state_survives_a_resume(tmp_path, monkeypatch):
    """The window and the counts: the resumed run leaves out the same steps and ends the same."""
    typed = short(tmp_path, *STEPS, "guard.sigmas=20", "trainer.save_every=10")
    whole, run = tmp_path / "whole", tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        Poison(patch, [15, 20], spike)
        assert type_in(patch, *typed, f"hydra.run.dir={whole}") == 0
    with pytest.MonkeyPatch.context() as patch:
        poison = Poison(
            patch, [15, 20], spike
        )  # the second needs what was seen before the interrupt
        At(patch, 18, interrupt)
        assert type_in(patch, *typed, f"hydra.run.dir={run}") == 130
        assert poison.count == 18
        assert read(run).guard["skipped"] == 1
        assert type_in(patch, f"resume={run}") == 0
    assert read(run).guard == read(whole).guard == {"skipped": 2, "rewound": 0}
    one, other = saved(whole), saved(run)
    assert equal(one["state_dict"], other["state_dict"])
    (first,) = [v for k, v in one["callbacks"].items() if "Skip" in k]
    (second,) = [v for k, v in other["callbacks"].items() if "Skip" in k]
    assert equal(first, second)
    assert first["window"]["n_accepted"] == 38


def test_too_many_in_a_row_end_the_run(tmp_path, monkeypatch, place):
    Poison(monkeypatch, [3, *range(6, 40)], nan_loss)
    line = r"^steps 6 to 8 were all skipped .* guard\.in_a_row=6 if the data may be so$"
    with pytest.raises(TrainingError, match=line):
        short_run(tmp_path / "run", *STEPS, "guard.in_a_row=3")
    result = read(tmp_path / "run")
    assert (result.status, result.guard["skipped"]) == ("failed", 4)


def test_inside_an_accumulation_window(tmp_path, monkeypatch):
    watch = Watch(monkeypatch)
    Poison(monkeypatch, [6], nan_gradient)  # the second half of the third step
    few = (*STEPS, "trainer.max_steps=5", "trainer.accumulate=2")
    assert short_run(tmp_path / "run", *few).guard["skipped"] == 1
    steps = watch.seen[::2]
    same = [equal(a, b) for a, b in pairwise(steps)]
    assert same == [False, False, True, False]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("guard.window=1", "guard.window=1 must be at least 2, for example 2"),
        ("guard.after=200", "guard.after=200 must be at most guard.window=128"),
        ("guard.sigmas=-1.0", "guard.sigmas=-1.0 must be a positive number, for example 6.0"),
        ("guard.in_a_row=0", "guard.in_a_row=0 must be at least 1, for example 1"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, typed, line):
    with pytest.raises(ConfigError) as caught:
        short_run(tmp_path / "run", "guard=skip", typed)
    assert str(caught.value) == line
