from __future__ import annotations

import pytest
import torch

from lightning_transformer.errors import ConfigError, TrainingError
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import read, read_history
from lightning_transformer.training.guard import base
from lightning_transformer.training.guard.rewind import RewindAsked
from tests.helpers.short_runs import At, interrupt, short, short_run, type_in
from tests.unit.training.guard.poison import saved

GUARD = ("guard=rewind", "guard.window=16", "guard.after=8", "guard.sigmas=20")
STEPS = (*GUARD, "trainer.max_steps=30", "trainer.val_every=5", "trainer.log_every=1")


class Data:
    """What each step trains on; a given batch is poison whenever it comes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *poison: torch.Tensor) -> None:
        step = Transformer.training_step
        self.steps: list[tuple[int, torch.Tensor]] = []

        def training_step(model, batch, batch_idx):
            self.steps.append((model.trainer.global_step + 1, batch.input_ids.clone()))
            loss = step(model, batch, batch_idx)
            bad = any(torch.equal(batch.input_ids, ids) for ids in poison)
            return loss * (float("nan") if bad else 1.0)

        monkeypatch.setattr(Transformer, "training_step", training_step)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.steps]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The data of 60 undisturbed steps."""
    with pytest.MonkeyPatch.context() as patch:
        data = Data(patch)
        short_run(
            tmp_path_factory.mktemp("plain") / "run", "trainer.max_steps=60", "trainer.val_every=60"
        )
    return [ids for _, ids in data.steps]


@pytest.fixture(params=["on a CPU", "as on a GPU"])
def place(request, monkeypatch):
    monkeypatch.setattr(base, "reading_is_free", lambda device: request.param == "on a CPU")


def test_it_goes_back_and_past_the_poison(tmp_path, monkeypatch, capsys, plain, place):
    data = Data(monkeypatch, plain[17])  # the batch of step 18
    result = short_run(tmp_path / "run", *STEPS, "guard.back=4", "guard.skip=2")
    assert (result.status, result.steps) == ("finished", 30)
    assert result.guard == {"skipped": 0, "rewound": 1}
    # the checkpoint of step 10 is the newest that is 4 steps before; steps 11 to 18 are left out
    assert data.numbers == [*range(1, 19), *range(11, 31)]
    used = [ids for _, ids in data.steps[18:]]
    assert all(map(torch.equal, used, plain[18:38]))
    assert result.tokens_seen == 30 * 8 * 16
    assert torch.isfinite(
        torch.cat([w.flatten() for w in saved(tmp_path / "run")["state_dict"].values()])
    ).all()
    out = capsys.readouterr().out
    assert "step 18  rewound: loss " in out
    series = read_history(tmp_path / "run")
    assert [step for step, _ in series["train/loss"]] == list(range(1, 31))


def test_more_may_be_left_out_than_needed(tmp_path, monkeypatch, plain):
    data = Data(monkeypatch, plain[17])
    short_run(tmp_path / "run", *STEPS, "guard.back=1", "guard.skip=9")
    assert data.numbers == [*range(1, 19), *range(16, 31)]
    assert all(map(torch.equal, [ids for _, ids in data.steps[18:]], plain[24:39]))


@pytest.mark.slow
def test_what_follows_is_what_a_run_without_that_data_would_do(tmp_path, monkeypatch, plain):
    """Weights from the rewind on are those of a run from that checkpoint on the later data."""
    Data(monkeypatch, plain[17])
    short_run(tmp_path / "one", *STEPS, "guard.back=4", "guard.skip=2")
    short_run(tmp_path / "other", *STEPS, "guard.back=7", "guard.skip=8")  # the same ones
    one, other = (saved(tmp_path / name)["state_dict"] for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_several_rewinds(tmp_path, monkeypatch, plain):
    data = Data(monkeypatch, plain[11], plain[26])
    result = short_run(tmp_path / "run", *STEPS, "guard.back=1", "guard.skip=1")
    # 12 is bad: back to 10, without 11 and 12. Then step 25 has the batch of 27: back to 20.
    assert data.numbers == [*range(1, 13), *range(11, 26), *range(21, 31)]
    used = [ids for _, ids in data.steps[27:]]
    assert all(map(torch.equal, used, plain[27:37]))
    assert result.guard["rewound"] == 2


@pytest.mark.slow
def test_what_is_left_out_stays_so_over_a_resume(tmp_path, monkeypatch, plain):
    run = tmp_path / "run"
    Data(monkeypatch, plain[17])
    typed = short(tmp_path, *STEPS, "guard.back=4", "guard.skip=2")
    assert type_in(monkeypatch, *typed, f"hydra.run.dir={tmp_path / 'whole'}") == 0
    At(monkeypatch, 18 + 12, interrupt)  # in step 22 of the second time
    assert type_in(monkeypatch, *typed, f"hydra.run.dir={run}") == 130
    assert type_in(monkeypatch, f"resume={run}") == 0
    assert read(run).guard == {"skipped": 0, "rewound": 1}
    one, other = (saved(folder)["state_dict"] for folder in (run, tmp_path / "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_gives_up_after_so_many(tmp_path, monkeypatch, plain):
    data = Data(monkeypatch, *plain[17:])
    line = r"^step 16 spikes again after 2 rewinds; .* guard\.times=4$"
    with pytest.raises(TrainingError, match=line):
        short_run(tmp_path / "run", *STEPS, "guard.back=1", "guard.skip=1", "guard.times=2")
    assert data.numbers == [*range(1, 19), 16, 16]
    result = read(tmp_path / "run")
    assert (result.status, result.guard["rewound"]) == ("failed", 2)


def test_without_a_checkpoint_to_go_back_to(tmp_path, monkeypatch, plain):
    Data(monkeypatch, plain[6])
    line = r"^step 7 is a spike, and no checkpoint is from step 4 or before; lower guard\.back, or "
    with pytest.raises(TrainingError, match=line):
        short_run(tmp_path / "run", *STEPS, "guard.back=3")
    assert read(tmp_path / "run").status == "failed"


def test_how_much_is_left_out():
    asked = RewindAsked(step=18, latest=14, skip=5)
    assert [asked.n_left_out(start) for start in (14, 13, 10)] == [5, 5, 8]


@pytest.mark.parametrize("name", ["back", "skip", "times"])
def test_options_out_of_range_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=rf"^guard\.{name}=0 must be at least 1, for example 1$"):
        short_run(tmp_path / "run", "guard=rewind", f"guard.{name}=0")
