"""Everything that a start would refuse is found before the first job."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run import ask, check
from lightning_transformer.compare.run.check import examine
from lightning_transformer.compare.run.outcome import Price
from lightning_transformer.errors import ConfigError
from tests.helpers.short_runs import short
from tests.unit.compare.run.fake_jobs import plan


def test_all_that_cannot_run_is_found_at_once(tmp_path):
    typed = short(tmp_path)
    wrong = {
        "heads": [*typed, "attention.n_heads=5"],
        "file": [*typed, "data.path=nowhere.txt"],
        "batch": [*typed, "data.batch_size=100000"],
        "device": [*typed, "trainer.devices=0"],
        "pair": ["model=encoder_only", "task=causal_lm"],
    }
    answer = examine({"config_dirs": [], "variants": {"good": typed, **wrong}})
    assert list(answer["errors"]) == list(wrong)
    assert "attention.n_heads=5" in answer["errors"]["heads"]
    assert "nowhere.txt" in answer["errors"]["file"]
    assert "larger than the training split" in answer["errors"]["batch"]
    assert "needs a causal model" in answer["errors"]["pair"]
    assert answer["prices"] == {}  # nothing is timed for nothing


def test_what_can_run_is_timed(tmp_path):
    typed = short(tmp_path, "trainer.limit_test_batches=1")
    price = Price(**examine({"config_dirs": [], "variants": {"a": typed}})["prices"]["a"])
    assert 1e-5 < price.step < 60
    assert price.test == pytest.approx(price.step / 3)
    assert price.validation > price.test


def test_what_fails_in_a_plug_in_is_one_line_of_the_list(tmp_path, monkeypatch):
    """Of any kind of error, and in the steps that are timed as well."""
    typed = short(tmp_path)

    def fails(cfg, *given):
        if cfg.seed > 1:
            raise RuntimeError("mine\nis broken") if cfg.seed == 2 else TypeError("no such key")
        return real(cfg, *given)

    real = check.check_run
    monkeypatch.setattr(check, "check_run", fails)
    variants = {"a": typed, "b": [*typed, "seed=2"], "c": [*typed, "seed=3"]}
    answer = examine({"config_dirs": [], "variants": variants})
    assert answer["errors"] == {"b": "RuntimeError: mine is broken", "c": "TypeError: no such key"}
    monkeypatch.setattr(check, "check_run", real)
    real = check.price
    monkeypatch.setattr(check, "price", fails)
    answer = examine({"config_dirs": [], "variants": {"a": typed, "b": [*typed, "seed=2"]}})
    assert answer["errors"] == {"b": "in a training step: RuntimeError: mine is broken"}


def test_other_values_of_tuned_keys_are_checked_and_not_timed(tmp_path):
    typed = short(tmp_path, "trainer.max_steps=20")
    also = {f"a,warmup={n}": [*typed, f"schedule.warmup_steps={n}"] for n in (5, 90)}
    answer = examine({"config_dirs": [], "variants": {"a": typed}, "also": also})
    assert list(answer["errors"]) == ["a,warmup=90"]
    del also["a,warmup=90"]
    answer = examine({"config_dirs": [], "variants": {"a": typed}, "also": also})
    assert (answer["errors"], list(answer["prices"])) == ({}, ["a"])


def test_errors_of_several_variants_are_a_list():
    errors = {"norm=a": "this", "norm=b": "that"}

    def answer(module, question):
        return {"errors": errors, "prices": {}}

    with pytest.raises(ConfigError) as found:
        ask.examine(plan("a", "b"), answer)
    assert str(found.value) == "2 of 2 variants cannot run\n  norm=a: this\n  norm=b: that"
    del errors["norm=b"]
    with pytest.raises(ConfigError, match=r"^norm=a: this$"):
        ask.examine(plan("a", "b"), answer)
