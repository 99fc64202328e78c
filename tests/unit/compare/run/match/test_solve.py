"""match= in `compare run`: what is solved for is in the runs' own overrides."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from lightning_transformer.compare.run import command
from lightning_transformer.compare.run.request import read_request
from lightning_transformer.compare.run.state import STATE_FILE
from lightning_transformer.compare.run.variants import Matched, changed, read_variants
from lightning_transformer.config.compose import check_match, composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.training.messages import notices
from tests.conftest import build_tiny, compose_config

SMALL = [
    "experiment=catalogue",
    "model.n_layers=4,2",
    "schedule.warmup_steps=100",
    "lr=fixed",
    "seeds=2",
]


def variants(*typed: str):
    register()
    with composer() as loader:
        asked = read_request([*SMALL, *typed], loader)
    return read_variants(asked)


def test_changes_become_overrides_and_the_budget_of_the_variant():
    shallow = variants("match=flops", "match.tolerance=0.1")[1]
    assert shallow.axis == "flops"
    found = changed(shallow, {"trainer.max_steps": 373, "schedule.warmup_steps": 186})
    assert "trainer.max_steps=373" in found.overrides
    assert "match=none" in found.overrides
    assert not any(text.startswith(("match=flops", "match.")) for text in found.overrides)
    assert found.steps == 373
    assert found.lengths["schedule.warmup_steps"] == 186
    assert found.val_every == shallow.val_every


def test_without_a_match_nothing_changes():
    shallow = variants()[1]
    assert shallow.axis == "none"
    assert changed(shallow, {}) is shallow


def test_what_is_compared_is_not_solved_for():
    some = variants("match=params", "match.key=model.n_layers")
    with pytest.raises(ConfigError, match=r"^model.n_layers is compared and would be solved for"):
        changed(some[1], {"model.n_layers": 3})


def test_two_kinds_of_match_are_refused():
    with pytest.raises(ConfigError, match=r"^match= says what is equal"):
        variants("match=params,none")


@pytest.mark.slow
def test_a_comparison_is_planned_with_what_was_solved_for(tmp_path, monkeypatch):
    """In a process of its own; a dry run writes nothing, and shows what would be changed."""
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    code = command.compare([*SMALL, "match=flops", "--dry-run"], Console(file=out, width=200))
    assert code == 0
    output = out.getvalue()
    assert "match     flops: model.n_layers=4 unchanged (+0.00%)" in output
    assert "match     flops: model.n_layers=2 trainer.max_steps=" in output
    with pytest.raises(ConfigError, match=r"^model.n_layers=2: match: parameters"):
        command.compare([*SMALL, "match=params", "match.tolerance=1e-6"], Console(file=out))
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.slow
def test_matches_are_kept_where_a_comparison_goes_on(tmp_path, monkeypatch):
    """Solved once: measured times are others at the next start."""
    answers = iter([{"trainer.max_steps": 100}])

    def solve(plan, env, console):
        found = next(answers)
        return {v.label: Matched(found) for v in plan.variants}

    monkeypatch.setattr(command, "solve", solve)
    monkeypatch.setattr(command, "_work", lambda pool, start, console: 0)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        given = [*SMALL, "match=time", "name=x"], Console(file=io.StringIO())
        assert command.compare(*given, examine=lambda plan, env, checked: {}) == 0
    kept = json.loads((tmp_path / "outputs/sweeps/x" / STATE_FILE).read_text())
    assert kept["matches"]["model.n_layers=2"]["changes"] == {"trainer.max_steps": 100}


@pytest.mark.parametrize(
    ("typed", "several"),
    [(["match=params"], False), (["match.tolerance=0.1"], False), (["match=time"], True)],
)
def test_a_plain_run_refuses_what_only_compare_run_solves_for(typed, several):
    register()
    with pytest.raises(ConfigError, match="is solved for by"):
        check_match(typed, several=several)


def test_a_sweep_over_seeds_and_match_none_are_fine():
    register()
    check_match(["match=none", "seed=1,2"], several=True)
    check_match(["norm=rmsnorm,layernorm"], several=True)


def test_a_run_says_that_a_match_of_its_experiment_does_nothing():
    cfg = compose_config("match=params")
    assert "match=params changes nothing in a run by itself" in next(
        notices(cfg, build_tiny(cfg), pattern=None, match="params")  # type: ignore[arg-type]
    )
