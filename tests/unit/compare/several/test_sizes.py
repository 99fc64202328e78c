"""The sizes of a ladder: the rule, the budget, and what is refused."""

from __future__ import annotations

import itertools

import pytest

from lightning_transformer.compare.run.match.base import size_of
from lightning_transformer.compare.several.sizes import answer, rungs
from lightning_transformer.config.compose import composed, composer, register

ACTIVATIONS = ("experiment=activations",)


@pytest.fixture
def configured():
    def make(*typed):
        return composed([*ACTIVATIONS, *typed])

    register()
    with composer([]):
        yield make


def test_the_configured_model_is_the_largest_and_each_has_about_a_third(configured):
    cfg = configured("model.d_model=128", "model.n_layers=4", "attention.n_heads=8")
    found = rungs(cfg, 3, 20.0)
    assert found[-1].shape == {
        "model.n_layers": 4, "model.d_model": 128, "attention.n_heads": 8
    }  # fmt: skip
    assert found[-1].params == size_of(cfg).n_params_non_embedding
    for below, above in itertools.pairwise(found):
        assert 2 < above.params / below.params < 4.5
    for rung in found:  # a head stays 16 wide
        assert rung.shape["model.d_model"] == 16 * rung.shape["attention.n_heads"]
        aspect = rung.shape["model.d_model"] / rung.shape["model.n_layers"]
        assert 32 / 2 <= aspect <= 32 * 2


def test_tokens_are_so_many_per_parameter_and_the_data_are_read_so_often(configured):
    cfg = configured()
    for rung in rungs(cfg, 3, 2.0):
        assert abs(rung.tokens - 2 * rung.params) <= 64 * 8 / 2  # whole steps of 8 rows of 64
        assert rung.tokens == rung.steps * 64 * 8
    once, twice = (rungs(cfg, 3, tokens)[-1].epochs for tokens in (20.0, 40.0))
    assert twice == pytest.approx(2 * once, rel=1e-3)


def test_a_model_that_is_too_small_is_refused_with_one_that_is_not(configured):
    cfg = configured("model.d_model=32", "model.n_layers=1", "attention.n_heads=2")
    with pytest.raises(ValueError, match="below it are only 1 sizes") as raised:
        rungs(cfg, 3, 20.0)
    advice = str(raised.value).partition("give it ")[2].split()
    assert advice
    assert len(rungs(configured("model.n_layers=1", *advice), 3, 20.0)) == 3


def test_what_is_counted_in_steps_follows_the_budget():
    question = {
        "config_dirs": [], "rungs": 3, "tokens_per_param": 2.0,
        "overrides": [*ACTIVATIONS, "init=mup"],
    }  # fmt: skip
    found = answer(question)
    assert found["mup"]
    for rung in found["rungs"]:
        values = dict(text.split("=") for text in rung["overrides"])
        steps = rung["size"]["steps"]
        assert int(values["trainer.max_steps"]) == steps
        assert abs(int(values["trainer.val_every"]) - steps / 4) <= 1  # 100 of 400
