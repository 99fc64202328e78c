"""match=time: steps times the measured time of a step are equal."""

import pytest

from lightning_transformer.compare.run.match import time
from lightning_transformer.compare.run.match.time import Time, step_seconds
from tests.conftest import compose_config
from tests.helpers.short_runs import short


def test_a_slower_variant_gets_fewer_steps(monkeypatch):
    """Times of both in turns; their medians count, so one slow round does not."""
    base = compose_config("trainer.max_steps=600", "trainer.val_every=300")
    slow = compose_config("trainer.max_steps=600", "trainer.val_every=300", "model.n_layers=8")
    answers = {4: iter([0.010, 0.500, 0.010]), 8: iter([0.020, 0.015, 0.015])}
    asked = []

    def measured(cfg, n_steps):
        asked.append(cfg.model.n_layers)
        return next(answers[cfg.model.n_layers])

    monkeypatch.setattr(time, "step_seconds", measured)
    found = Time()(slow, base)
    assert asked == [4, 8, 4, 8, 4, 8]
    assert found.changes["trainer.max_steps"] == 400
    assert found.changes["trainer.val_every"] == 200
    assert found.residual == pytest.approx(0.0)


def test_steps_are_measured_in_the_trainer_of_the_run(tmp_path):
    cfg = compose_config(*short(tmp_path, "trainer.accumulate=2"))
    assert 1e-5 < step_seconds(cfg, 5) < 60
    assert cfg.trainer.max_steps == 6  # asked, not changed


def test_too_few_steps_to_measure_are_refused():
    with pytest.raises(ValueError, match="n_steps=4"):
        Time(n_steps=4)
