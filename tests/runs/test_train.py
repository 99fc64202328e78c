"""Whole runs in this process: what they report, and that they compute what they claim."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn import functional as F

from lightning_transformer.build import build, load_run
from lightning_transformer.models.base import Transformer
from lightning_transformer.runs.result import config_sha256, read, read_history
from lightning_transformer.tasks.causal_lm import CausalLM
from lightning_transformer.tasks.metrics.baseline import Baseline
from lightning_transformer.training.callbacks import metric_logger
from lightning_transformer.training.callbacks.sample_writer import Samples
from tests.conftest import compose_config, options
from tests.helpers.examples import first_examples
from tests.helpers.short_runs import (
    checkpoint,
    difference,
    history,
    short,
    short_pairs,
    short_run,
    start,
    text_file,
    weights,
)


def mean_nll(folder: Path, split: str, name: str) -> float:
    """Nats per token of a split under a checkpoint, each row by itself, in float64."""
    model = load_run(folder, name).double()
    data = build(compose_config(*read(folder).overrides), "data")
    data.prepare()
    total, count = 0.0, 0
    for example in first_examples(data, split, 10**9):
        ids = torch.from_numpy(np.asarray(example.ids, dtype=np.int64))
        batch = model.task.collator(split)([example], [0])
        with torch.no_grad():
            scores = model.task.head(model.features(batch))[0]
        total += float(F.cross_entropy(scores, ids[1:], reduction="sum"))
        count += len(ids) - 1
    return total / count


# -- what a run reports ----------------------------------------------------------------------------


def test_result_and_files_are_complete_and_right(tmp_path):
    folder = tmp_path / "run"
    typed = short(tmp_path, "callbacks=default")
    result = short_run(folder, "callbacks=default", choices={"norm": "rmsnorm"})
    assert result == read(folder)
    assert (result.status, result.error, result.seed, result.steps) == ("finished", None, 1, 6)
    assert result.overrides == typed
    assert result.choices == {"norm": "rmsnorm"}
    assert result.tokens_seen == 6 * 8 * 16
    distinct = {w.data_ptr(): w.numel() for w in weights(folder).values()}  # tied ones once
    assert result.n_params == sum(distinct.values())
    assert result.n_params - result.n_params_non_embedding == 262 * 32
    assert result.precision == "32-true"
    assert result.device.endswith(", 1 thread")
    assert result.versions["torch"] == torch.__version__
    assert result.tokens_per_second == pytest.approx(result.tokens_seen / result.seconds)
    assert result.peak_memory_bytes is None or result.peak_memory_bytes > 10**8
    names = ("loss", "perplexity", "bits_per_byte")
    assert set(result.metrics) == {f"{s}/{n}" for s in ("val", "test") for n in names}
    levels = {"loss": math.log(262), "perplexity": 262.0}
    assert result.chance == {f"{s}/{n}": levels[n] for s in ("val", "test") for n in levels}
    assert result.test_targets == np.load(folder / "document_losses.npy")["count"].sum()
    assert result.metrics["val/perplexity"] == pytest.approx(math.exp(result.metrics["val/loss"]))
    data = build(compose_config(*typed), "data")
    data.prepare()
    assert result.data == vars(data.identity)
    assert result.data["bytes"] == text_file(tmp_path).stat().st_size
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert result.config_sha256 == config_sha256(saved)
    assert saved["model"]["norm"]["eps"] == saved["norm"]["eps"] == 1e-6
    assert not {"hydra", "sweep", "resume"} & set(saved)
    for name in ("best", "last"):
        assert checkpoint(folder, name)["global_step"] == 6
    assert (folder / result.history).exists()
    samples = (folder / "samples.md").read_text()
    assert samples.count("## step ") == 2
    assert samples.count("**output**") == 6


def test_rows_of_the_history_stand_at_the_right_steps(tmp_path):
    overrides = ("trainer.max_steps=8", "trainer.log_every=2", "trainer.val_every=3")
    result = short_run(tmp_path / "run", *overrides)
    series = read_history(tmp_path / "run")
    assert [step for step, _ in series["train/loss"]] == [2, 4, 6, 8]
    # The last interval is short; it is judged like the others.
    assert [step for step, _ in series["val/loss"]] == [3, 6, 8]
    assert [step for step, _ in series["test/loss"]] == [8]
    assert series["perf/tokens"] == [(step, step * 8 * 16) for step in (2, 4, 6, 8)]
    for name in ("val/loss", "test/loss"):
        assert series[name][-1][1] == result.metrics[name]
    assert set(series) >= {"optim/lr", "optim/grad_norm", "perf/tokens_per_s"}
    assert checkpoint(tmp_path / "run")["global_step"] == 8


def test_training_loss_is_the_mean_over_the_tokens_since_the_last_row(tmp_path):
    short_run(tmp_path / "each", "trainer.log_every=1")
    short_run(tmp_path / "third", "trainer.log_every=3")
    each = [value for _, value in read_history(tmp_path / "each")["train/loss"]]
    third = read_history(tmp_path / "third")["train/loss"]
    for name in ("each", "third"):  # whatever was logged
        assert read(tmp_path / name).last_train_loss == pytest.approx(each[-1], rel=1e-9)
    expected = [(3, sum(each[:3]) / 3), (6, sum(each[3:]) / 3)]
    for got, want in zip(third, expected, strict=True):
        assert got == (want[0], pytest.approx(want[1], rel=1e-12))


def test_metrics_of_validation_and_test_are_exact(tmp_path):
    # Rows do not divide evenly by 7, and the last row of a split is short.
    result = short_run(tmp_path / "run", "data.eval_batch_size=7")
    for split in ("val", "test"):
        expected = mean_nll(tmp_path / "run", split, "last")
        assert result.metrics[f"{split}/loss"] == pytest.approx(expected, rel=1e-6)


def test_best_is_the_best_of_all_validations_and_is_what_is_tested(tmp_path, monkeypatch):
    compute, said = CausalLM.compute, iter([2.0, 1.0, 3.0, 2.5])

    def scripted(task, metrics):
        values = compute(task, metrics)
        return values | {"loss": torch.tensor(next(said, float(values["loss"])))}

    monkeypatch.setattr(CausalLM, "compute", scripted)
    monkeypatch.setattr(Baseline, "learn", lambda *given: None)  # which would compute as well
    result = short_run(tmp_path / "run", "trainer.max_steps=7", "trainer.val_every=2")
    assert [step for step, _ in read_history(tmp_path / "run")["val/loss"]] == [2, 4, 6, 7]
    assert checkpoint(tmp_path / "run", "best")["global_step"] == 4
    assert checkpoint(tmp_path / "run", "last")["global_step"] == 7
    assert result.metrics["val/loss"] == 2.5
    best, last = (mean_nll(tmp_path / "run", "test", name) for name in ("best", "last"))
    assert result.metrics["test/loss"] == pytest.approx(best, rel=1e-6)
    assert abs(best - last) > 1e-3


@pytest.mark.slow
def test_a_run_without_validation_or_test_data_finishes(tmp_path):
    result = short_run(tmp_path / "no_val", "data.val_fraction=0.0")
    assert set(result.metrics) == {"test/loss", "test/perplexity", "test/bits_per_byte"}
    expected = mean_nll(tmp_path / "no_val", "test", "last")
    assert result.metrics["test/loss"] == pytest.approx(expected, rel=1e-6)
    neither = ("data.val_fraction=0.0", "data.test_fraction=0.0", "callbacks=default")
    result = short_run(tmp_path / "neither", *neither)
    assert (result.status, result.metrics) == ("finished", {})
    assert checkpoint(tmp_path / "neither")["global_step"] == 6


@pytest.mark.slow
def test_time_of_training_excludes_validation_and_what_hangs_on_it(tmp_path, monkeypatch):
    clock = [1.0]
    monkeypatch.setattr(metric_logger.time, "perf_counter", lambda: clock[0])

    def slow(seconds, hook):
        def wrapped(*args):
            clock[0] += seconds
            return hook(*args)

        return wrapped

    monkeypatch.setattr(Samples, "on_validation_end", slow(1000, Samples.on_validation_end))
    monkeypatch.setattr(Transformer, "validation_step", slow(100, Transformer.validation_step))
    monkeypatch.setattr(Transformer, "training_step", slow(2, Transformer.training_step))
    result = short_run(tmp_path / "run", "callbacks=default")
    assert result.seconds == 12
    assert result.tokens_per_second == 64
    speeds = [value for _, value in read_history(tmp_path / "run")["perf/tokens_per_s"]]
    assert speeds == [64] * 6


# -- what a run computes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("64-true", 1e-10), ("32-true", 1e-5)])
def test_micro_batches_change_nothing(tmp_path, dtype, tolerance):
    common = ("optimizer=adamw", f"trainer.precision={dtype}", "trainer.max_steps=3")
    for n in (1, 4):
        typed = short_pairs(tmp_path, *common, f"trainer.accumulate={n}")
        assert start(tmp_path / str(n), typed).steps == 3
    assert difference(tmp_path / "1", tmp_path / "4") < tolerance
    one, four = history(tmp_path / "1"), history(tmp_path / "4")
    assert len(one) == len(four) == 3
    for row, other in zip(one, four, strict=True):
        assert set(row) == set(other)
        for key in row:
            if row[key]:
                assert float(row[key]) == pytest.approx(float(other[key]), rel=100 * tolerance)


@pytest.mark.parametrize(
    ("schedule", "accumulate"), [("linear", 1), *((name, 4) for name in options("schedule"))]
)
def test_learning_rates_are_those_of_the_schedule(tmp_path, schedule, accumulate):
    overrides = (f"schedule={schedule}", f"trainer.accumulate={accumulate}", "trainer.val_every=9")
    short_run(tmp_path / "run", *overrides)
    factor = build(compose_config(*short(tmp_path, *overrides)), "schedule")
    logged = read_history(tmp_path / "run")
    for column, peak in (("optim/lr", 3e-3), ("optim/lr_matrices", 0.02)):
        expected = [(k + 1, pytest.approx(peak * factor(k, 6), rel=1e-12)) for k in range(6)]
        assert logged[column] == expected
    assert factor(1, 6) == 1  # the first step after a warm-up of two


@pytest.mark.parametrize("n_steps", [1, 2, 20])
def test_a_short_run_needs_no_other_key(tmp_path, n_steps):
    """Intervals above its length mean its end, warm-up is a share of it, and every step trains."""
    defaults = ("trainer.val_every=200", "trainer.log_every=20", "schedule.warmup_steps=null")
    defaults += (f"trainer.max_steps={n_steps}", "optimizer=adamw")
    result = short_run(tmp_path / "run", *defaults)
    assert (result.status, result.steps) == ("finished", n_steps)
    assert "test/loss" in result.metrics
    logged = read_history(tmp_path / "run")
    assert [step for step, _ in logged["val/loss"]] == [n_steps]
    ((step, rate),) = logged["optim/lr"]
    assert step == n_steps
    w = round(0.125 * n_steps)
    assert rate == pytest.approx(1e-3 / (n_steps - w), rel=1e-12)  # the last of n - w to zero


def test_an_update_has_the_size_that_rate_and_norm_say(tmp_path):
    # Plain gradient descent: weights move by lr times the gradient, whose norm is logged.
    plain = ("optimizer=sgd", "optimizer.momentum=0.0", "trainer.clip=null", "trainer.max_steps=1")
    plain += ("task.tie_embeddings=false",)  # a tied matrix would be counted twice here
    for name, lr in (("start", 1e-30), ("moved", 0.5)):
        constant = ("schedule=constant", "schedule.warmup_steps=0", f"optimizer.lr={lr}")
        short_run(tmp_path / name, *plain, *constant)
    before, after = weights(tmp_path / "start"), weights(tmp_path / "moved")
    moved = math.sqrt(sum(float((after[key] - before[key]).square().sum()) for key in after))
    (row,) = history(tmp_path / "moved")
    assert moved == pytest.approx(0.5 * float(row["optim/grad_norm"]), rel=1e-5)


def test_the_logged_norm_is_that_before_clipping(tmp_path):
    short_run(tmp_path / "tight", "trainer.clip=1e-6", "optimizer=sgd", "trainer.max_steps=3")
    short_run(tmp_path / "none", "trainer.clip=null", "optimizer=sgd", "trainer.max_steps=3")
    first, free = history(tmp_path / "tight")[0], history(tmp_path / "none")[0]
    assert first["optim/grad_norm"] == free["optim/grad_norm"]
    assert float(first["optim/grad_norm"]) > 0.1
    assert difference(tmp_path / "tight", tmp_path / "none") > 1e-4


def test_two_identical_runs_are_equal_to_the_last_bit_and_another_seed_is_not(tmp_path):
    for name in ("one", "two"):
        short_run(tmp_path / name, "model.dropout=0.1")
    short_run(tmp_path / "other", "model.dropout=0.1", "seed=2")
    assert difference(tmp_path / "one", tmp_path / "two") == 0
    assert history(tmp_path / "one") == history(tmp_path / "two")
    assert difference(tmp_path / "one", tmp_path / "other") > 1e-3


def test_dropout_draws_anew_in_every_micro_batch(tmp_path, monkeypatch):
    seeds = []
    step = Transformer.training_step

    def training_step(model, batch, batch_idx):
        seeds.append(torch.initial_seed())
        return step(model, batch, batch_idx)

    monkeypatch.setattr(Transformer, "training_step", training_step)
    short_run(tmp_path / "run", "trainer.accumulate=4", "trainer.max_steps=3")
    assert len(set(seeds)) == len(seeds) == 12


def test_validation_does_not_change_training(tmp_path):
    common = ("model.dropout=0.1", "callbacks=default", "trainer.accumulate=2")
    short_run(tmp_path / "often", *common, "trainer.val_every=1")
    short_run(tmp_path / "once", *common, "trainer.val_every=6")
    assert difference(tmp_path / "often", tmp_path / "once") == 0
    assert len(read_history(tmp_path / "often")["val/loss"]) == 6
    assert len(read_history(tmp_path / "once")["val/loss"]) == 1


@pytest.mark.slow
def test_a_run_is_the_same_after_another_in_the_process(tmp_path):
    short_run(tmp_path / "alone", "model.dropout=0.1", "callbacks=default")
    short_run(tmp_path / "other", "seed=7", "norm=layernorm", "data.seq_len=24", "optimizer=adamw")
    short_run(tmp_path / "after", "model.dropout=0.1", "callbacks=default")
    assert difference(tmp_path / "alone", tmp_path / "after") == 0
    assert history(tmp_path / "alone") == history(tmp_path / "after")
    assert read(tmp_path / "alone").metrics == read(tmp_path / "after").metrics
