from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.runs.result import read
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.training.guard import base
from lightning_transformer.training.guard.stop import NonFinite
from tests.conftest import compose_config, options
from tests.helpers.short_runs import At, checkpoint, interrupt, short, short_run, type_in
from tests.unit.training.guard.poison import BAD, Poison, equal, nan_gradient, nan_loss, saved

STEPS = ("trainer.max_steps=12", "trainer.val_every=12")


def samples(folder, step):
    """The numbers of the examples of a step (from 1), by the data alone."""
    data = build(compose_config(*short(folder)), "data")
    data.prepare()
    loader = StepLoader(data.splits["train"], lambda *args: None, seed=1, batch_size=8)
    return loader.sample_ids(step - 1)


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize(
    ("disturb", "what", "parameter"),
    [(nan_loss, "the loss is", "embedding.weight"), (nan_gradient, "a gradient is", BAD)],
)
def test_it_stops_before_the_update(tmp_path, monkeypatch, disturb, what, parameter, optimizer):
    poison = Poison(monkeypatch, [5], disturb)
    with pytest.raises(NonFinite) as caught:
        short_run(tmp_path / "run", "trainer.val_every=1", f"optimizer={optimizer}")
    last = saved(tmp_path / "run")
    assert last["global_step"] == 4
    assert equal(last["state_dict"], dict(poison.model.state_dict()))
    assert equal(last["optimizer_states"][0], poison.optimizer.state_dict())
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"step 5 was not done because {what} not finite: rank 0, loss ")
    assert f"first bad parameter {parameter}," in line
    assert f"samples {', '.join(map(str, samples(tmp_path, 5)))};" in line
    assert "the weights are those of step 4" in line
    assert "resume=" in line
    result = read(tmp_path / "run")
    assert (result.status, result.error) == ("failed", f"NonFinite: {line}")


def test_nothing_of_the_step_is_logged(tmp_path, monkeypatch):
    Poison(monkeypatch, [5], nan_loss)
    with pytest.raises(NonFinite):
        short_run(tmp_path / "run")
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4"]
    assert "nan" not in "".join(rows)


def test_inside_an_accumulation_window(tmp_path, monkeypatch):
    poison = Poison(monkeypatch, [10], nan_gradient)  # the second of four in the third step
    with pytest.raises(NonFinite, match=r"^step 3 was not done because a gradient"):
        short_run(tmp_path / "run", "trainer.val_every=1", "trainer.accumulate=4")
    assert poison.count == 12
    last = saved(tmp_path / "run")
    assert last["global_step"] == 2
    assert equal(last["state_dict"], dict(poison.model.state_dict()))


def test_a_loss_without_a_bad_gradient_is_found_too(tmp_path, monkeypatch):
    forward, calls = CausalLM.forward, []

    def infinite(task, features, batch):
        sums = forward(task, features, batch)
        calls.append(torch.is_grad_enabled())
        if sum(calls) == 3:  # + inf has the derivative 1
            sums = sums._replace(objective=sums.objective + math.inf)
        return sums

    monkeypatch.setattr(CausalLM, "forward", infinite)
    with pytest.raises(
        NonFinite, match=r"^step 3 was not done because the loss is .* loss (inf|nan)"
    ):
        short_run(tmp_path / "run", "optimizer=adamw")


def test_the_command_says_one_line_and_ends_with_1(tmp_path, monkeypatch, capsys):
    Poison(monkeypatch, [5], nan_loss)
    run = f"hydra.run.dir={tmp_path / 'run'}"
    assert type_in(monkeypatch, *short(tmp_path), run) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: step 5 was not done")


@pytest.mark.slow
def test_what_it_says_to_do_works(tmp_path, monkeypatch):
    poison = Poison(monkeypatch, [5], nan_loss)
    run = f"hydra.run.dir={tmp_path / 'run'}"
    assert type_in(monkeypatch, *short(tmp_path, "trainer.val_every=2"), run) == 1
    poison.count = 4  # what was bad is bad again
    assert type_in(monkeypatch, f"resume={tmp_path / 'run'}", "guard=skip") == 0
    result = read(tmp_path / "run")
    assert (result.status, result.steps) == ("finished", 6)
    assert result.guard == {"skipped": 1, "rewound": 0}


# -- as on a GPU, where the host looks seldom ------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setattr(base, "reading_is_free", lambda device: False)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("disturb", [nan_loss, nan_gradient])
def test_where_reading_waits_the_weights_stay_all_the_same(
    tmp_path, monkeypatch, elsewhere, optimizer, disturb
):
    few = (*STEPS, f"optimizer={optimizer}", "trainer.log_every=4")
    At(monkeypatch, 5, interrupt)
    short_run(tmp_path / "whole", *few)
    poison = Poison(monkeypatch, [6], disturb)
    with pytest.raises(NonFinite, match=r"^step 6 .* weights are those of step 5") as caught:
        short_run(tmp_path / "run", *few)
    assert poison.count == 8  # found when it next logged
    if disturb is nan_gradient:
        assert f"first bad parameter {BAD}" in str(caught.value)
    whole = saved(tmp_path / "whole")
    assert whole["global_step"] == 5
    assert equal(whole["state_dict"], dict(poison.model.state_dict()))
    assert equal(whole["optimizer_states"][0]["state"], poison.optimizer.state_dict()["state"])


def test_where_reading_waits_nothing_bad_is_kept(tmp_path, monkeypatch, elsewhere):
    Poison(monkeypatch, [4], nan_loss)
    few = (*STEPS, "trainer.log_every=12")
    with pytest.raises(NonFinite, match=r"^step 4 "):
        short_run(tmp_path / "run", *few, "trainer.save_every=3")
    assert checkpoint(tmp_path / "run")["global_step"] == 3


def test_an_optimizer_that_cannot_leave_out_an_update_is_said(
    tmp_path, monkeypatch, elsewhere, capsys
):
    poison = Poison(monkeypatch, [6], nan_loss)
    with pytest.raises(NonFinite, match=r"^step 6 "):
        short_run(tmp_path / "run", *STEPS, "trainer.log_every=12", "optimizer=sgd")
    assert poison.count == 6
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.startswith("guard: ")]
    assert said == ["guard: each step waits, because SGD cannot leave out an update by itself"]


def test_no_step_waits(tmp_path, monkeypatch, elsewhere):
    """Between two logs no value of a tensor is asked for by the guard."""
    reads = []
    bad = base.Guard.read
    monkeypatch.setattr(base.Guard, "read", lambda guard: (reads.append(1), bad(guard)))
    asked = []
    for name in ("__bool__", "__float__", "__int__", "item", "tolist"):
        original = getattr(torch.Tensor, name)

        def spy(tensor, *args, original=original):
            if guarding:
                asked.append(original.__name__)
            return original(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, spy)
    guarding = []
    before = base.Guard.before_update

    def watched(guard, optimizer):
        guarding.append(1)
        before(guard, optimizer)
        guarding.clear()

    monkeypatch.setattr(base.Guard, "before_update", watched)
    for choice in options("guard"):
        short_run(tmp_path / choice, *STEPS, "trainer.log_every=12", f"guard={choice}")
    assert asked == []
    assert reads
