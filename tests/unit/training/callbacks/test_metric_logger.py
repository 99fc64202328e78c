from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.build import build
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.muon import muon
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.linear import Linear
from lightning_transformer.runs.result import read_history
from lightning_transformer.training import session
from lightning_transformer.training.callbacks.metric_logger import MetricLogger, learning_rates
from lightning_transformer.training.callbacks.progress import Display
from tests.conftest import compose_config
from tests.helpers.short_runs import checkpoint, history, short_pairs, short_run, start


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(4, 8), nn.Linear(8, 8)


def test_rates_of_an_optimizer_bear_the_names_that_a_user_knows():
    optimizer = adamw(Net(), lr=0.5)
    lambda_lr(optimizer, Linear(warmup_steps=2), 4)
    assert learning_rates(optimizer) == {"optim/lr": 0.25}
    optimizer = muon(Net(), lr=0.5, muon_lr=0.1)
    scheduler = lambda_lr(optimizer, Linear(warmup_steps=2), 4)
    assert learning_rates(optimizer) == {"optim/lr": 0.25, "optim/lr_matrices": 0.05}
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    # Both are 0 after the last step, and still two columns.
    assert learning_rates(optimizer) == {"optim/lr": 0.0, "optim/lr_matrices": 0.0}


def test_its_state_goes_on():
    metric_logger = MetricLogger(Display(), log_every=1)
    metric_logger.load_state_dict({"tokens_seen": 7, "seconds": 2.5})
    assert metric_logger.state_dict() == {"tokens_seen": 7, "seconds": 2.5}


def test_tokens_are_counted_without_padding(tmp_path):
    typed = short_pairs(tmp_path, "trainer.accumulate=2")
    result = start(tmp_path / "run", typed)
    cfg = compose_config(*typed)
    data = build(cfg, "data")
    data.prepare()
    loader = StepLoader(data.splits["train"], None, seed=cfg.seed, batch_size=8)
    ids = np.concatenate([loader.sample_ids(step) for step in range(6)])
    pairs = [data.splits["train"].get(int(i), 0) for i in ids]
    # The end of the source, and the beginning of the target, are read too.
    expected = sum(len(pair.source) + 1 + len(pair.target) + 1 for pair in pairs)
    assert result.tokens_seen == expected
    assert read_history(tmp_path / "run")["perf/tokens"][-1] == (6, expected)


def test_tokens_of_all_processes_count_also_when_their_number_changes():
    metric_logger = MetricLogger(Display(), log_every=100)
    model: Any = SimpleNamespace(n_tokens_read=10)
    for world_size in (2, 1):
        trainer = SimpleNamespace(
            world_size=world_size, global_rank=0, strategy=None, global_step=0, max_steps=9
        )
        metric_logger.on_train_batch_end(trainer, model, None, None, 0)
    assert metric_logger.tokens_seen == 30


def test_nothing_is_logged_between_the_intervals_but_the_last_step_is(tmp_path, monkeypatch):
    waits = []
    take = "lightning_transformer.models.base.Transformer.take_train_loss"
    monkeypatch.setattr(take, lambda model: waits.append(model.global_step) or 1.0)
    short_run(tmp_path / "run", "trainer.log_every=4", "trainer.val_every=6")
    assert waits == [4, 6]
    assert [row["step"] for row in history(tmp_path / "run") if row["train/loss"]] == ["4", "6"]


def test_what_it_counts_is_in_the_checkpoint(tmp_path):
    result = short_run(tmp_path / "run")
    state = checkpoint(tmp_path / "run")["callbacks"]["MetricLogger"]
    assert state["tokens_seen"] == result.tokens_seen
    assert state["seconds"] == pytest.approx(result.seconds, rel=0.5)
    assert not [v for v in state.values() if isinstance(v, torch.Tensor)]


MASKED = ("model=encoder_only", "task=masked_lm", "trainer.max_steps=12", "trainer.val_every=12")


def test_steps_without_a_target_are_said_once(tmp_path, capsys):
    """With 0.6 hidden tokens a step on average, about half of the steps have none."""
    rate = ("task.mask_rate=0.005", "trainer.accumulate=2", "trainer.log_every=4")
    short_run(tmp_path / "run", *MASKED, *rate)
    lines = [x for x in capsys.readouterr().out.splitlines() if "had no target" in x]
    assert len(lines) == 1
    assert re.fullmatch(r"[1-4] of the steps up to step (4|8|12) had no target, so that .*", *lines)


def test_five_logged_steps_without_a_loss_are_said_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(session, "check_targets", lambda data: None)  # as with few of them
    short_run(tmp_path / "run", *MASKED, "task.mask_rate=1e-9")
    out = capsys.readouterr().out
    assert out.count("no training loss at 5 logged steps running, up to step 5") == 1
    assert out.count("no training loss") == 1
    assert out.count("1 of the steps up to step 1 had no target") == 1
    assert out.count("had no target") == 1
    short_run(tmp_path / "sound", *MASKED)
    sound = capsys.readouterr().out
    assert "no training loss" not in sound
    assert "target" not in sound
