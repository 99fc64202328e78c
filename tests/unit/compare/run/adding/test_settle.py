"""Seeds that are added until a variant is settled, and comparisons that are extended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lightning_transformer.compare.report.comparison import Looks, read_comparison
from lightning_transformer.compare.run import command, scheduler
from lightning_transformer.compare.run.adding.extend import continued, differences, looks
from lightning_transformer.compare.run.adding.settle import more_seeds, next_look, open_variants
from lightning_transformer.compare.run.state import STATE_FILE, open_state
from lightning_transformer.errors import ConfigError
from tests.unit.compare.report.made_runs import make_run
from tests.unit.compare.run.fake_jobs import Process, as_dict, plan, request

TWENTY = tuple(range(1, 21))
TINY = ("data.seq_len=16", "model.d_model=32", "model.n_layers=1", "trainer=cpu", "lr=fixed")


def test_looks_come_after_one_seed_and_then_after_more():
    found = [3]
    while found[-1] < 20:
        found.append(next_look(found[-1], 20))
    assert found == [3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20]


def test_only_what_is_open_gets_seeds_and_the_baseline_those_of_all():
    asked = plan("a", "b", "c", seeds=TWENTY, first=3, placebo=True)
    verdicts = {"norm=b": "better", "norm=c": "unresolved", "placebo": "unresolved"}
    assert open_variants(asked, verdicts) == ["norm=c"]
    assert more_seeds(asked, verdicts) == {"norm=a": 4, "placebo": 4, "norm=b": 3, "norm=c": 4}
    settled = dict.fromkeys(verdicts, "equal")
    assert more_seeds(asked, settled) == asked.n_seeds


def test_what_may_grow_and_what_may_not():
    old = request(swept={"norm": ("a", "b")}, seeds=(1, 2)).identity
    for same in (
        {"seeds": (1, 2, 3)},
        {"seeds": TWENTY, "first": 3},
        {"swept": {"norm": ("a", "c", "b")}},
        {"placebo": True},
        {"budget": 60.0},
    ):
        assert differences(old, request(**same).identity) == []
    for other, message in (
        ({"seeds": (1, 3, 2)}, "seeds: 1,2 then, 1,3,2 now"),
        ({"seeds": (1,)}, "seeds: 1,2 then, 1 now"),
        ({"swept": {"norm": ("a", "c")}}, "norm: a,b then, a,c now"),
        ({"swept": {"norm": ("a", "b"), "bias": ("1", "2")}}, "bias: nothing then, 1,2 now"),
        ({"baseline": {"norm": "b"}}, "norm: a then, b now"),
        ({"shared": ("seed=1",)}, "seed: nothing then, 1 now"),
    ):
        assert differences(old, request(**other).identity) == [message]
    halved = request(halving=2).identity
    assert differences(halved, request(halving=2, seeds=(1, 2, 3)).identity)


def test_the_looks_are_those_that_were_planned_first():
    adaptive = request(seeds=TWENTY, first=3)
    assert looks(None, None, adaptive) == Looks(3, 20)
    assert looks(None, None, request(seeds=(1, 2, 3, 4, 5))) is None
    five = request(seeds=(1, 2, 3, 4, 5)).identity
    assert looks(five, None, request(seeds=(1, 2, 3, 4, 5))) is None  # the same once more
    assert looks(five, None, request(seeds=TWENTY)) == Looks(5, 5)
    assert looks(five, None, adaptive) == Looks(5, 5)
    assert looks(adaptive.identity, Looks(3, 20), request(seeds=TWENTY[:18])) == Looks(3, 20)


def test_a_stored_comparison_is_extended(tmp_path):
    open_state(tmp_path, plan(seeds=TWENTY[:5]), 1).write(tmp_path)
    state = open_state(tmp_path, plan("a", "b", "c", seeds=TWENTY, first=3), 1)
    assert state.n_seeds == {"norm=a": 5, "norm=b": 5, "norm=c": 3}
    assert state.looks == Looks(5, 5)
    stored = json.loads((tmp_path / STATE_FILE).read_text())
    del stored["n_seeds"], stored["looks"], stored["seconds"], stored["asked"]["first"]
    (tmp_path / STATE_FILE).write_text(json.dumps(stored))  # of a version without these
    old = open_state(tmp_path, plan("a", "b", "c", seeds=TWENTY, first=3), 1)
    assert (old.n_seeds, old.looks) == (state.n_seeds, state.looks)


def test_without_a_name_the_comparison_that_it_extends_is_found(tmp_path):
    def stored(name, **asked):
        state = open_state(tmp_path / name, plan(**asked), 1)
        (tmp_path / name).mkdir()
        state.write(tmp_path / name)

    stored("norm-aaaaaa", seeds=(1, 2, 3))
    stored("norm-bbbbbb", seeds=(1, 2, 3, 4))
    stored("mine", seeds=(1, 2, 3, 4, 5))
    (tmp_path / "norm-cccccc").mkdir()
    (tmp_path / "norm-cccccc" / STATE_FILE).write_text("{}")
    asked = request(seeds=(1, 2, 3, 4, 5), name="norm-dddddd")
    assert continued(asked, tmp_path).name == "norm-bbbbbb"
    other = request(seeds=(1, 2, 3, 4, 5), name="norm-dddddd", lr="fixed")
    assert continued(other, tmp_path).name == "norm-dddddd"


class Runs:
    """Starts jobs that end at once with what a run leaves; rmsnorm is better, dyt is not."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.begun = folder, []

    def start(self, job, worker):
        self.begun.append(job.folder)
        overrides = as_dict(job)
        seed, norm = int(overrides["seed"]), overrides["norm"]
        noise = np.random.default_rng([seed, len(norm)]).normal(0, 0.02)
        loss = 2.0 + noise - 0.5 * (norm == "rmsnorm")
        make_run(self.folder / job.folder, seed=seed, loss=loss, norm=norm,
                 overrides=list(job.overrides))  # fmt: skip
        return Process()


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Give `typed(*words)`: exit code and output; what was started in `typed.runs`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(command, "_keep_report", lambda pool: None)
    runs = Runs(tmp_path / "outputs" / "sweeps" / "try")

    def typed(*words):
        console = Console(width=200, record=True)
        argv = [*words, *TINY, "name=try"]
        code = command.compare(argv, console, runs.start, lambda plan, env, known: {})
        return code, console.export_text()

    typed.runs = runs
    return typed


def test_seeds_are_added_for_what_is_open_and_the_report_says_at_which_it_ended(typed):
    words = ["norm=layernorm,rmsnorm,dyt", "seeds=3..6"]
    code, shown = typed(*words)
    assert code == 0
    begun = typed.runs.begun
    counts = {
        norm: sum(f"norm={norm}" in name for name in begun)
        for norm in ("layernorm", "rmsnorm", "dyt")
    }
    assert counts["layernorm"] == counts["dyt"] == 6  # never settled: as many as were asked for
    assert 3 <= counts["rmsnorm"] < 6
    assert "after 3 seeds: " in shown
    assert "after 6 seeds, as many as were asked for: norm=dyt not settled" in shown
    found = read_comparison(typed.runs.folder)
    assert found is not None
    assert found.looks == Looks(3, 6)
    assert found.n_seeds == {f"norm={norm}": n for norm, n in counts.items()}
    report = json.loads((typed.runs.folder / "report.json").read_text())
    rows = {row["variant"]: row for row in report["variants"]}
    assert rows["norm=rmsnorm"]["verdict"] == "better"
    assert rows["norm=rmsnorm"]["effect"]["method"] == "sequential"
    assert rows["norm=rmsnorm"]["states"]["missing"] == 0
    assert report["blocks"]["dropped"] == []
    # The same command once more does nothing; with more seeds it goes on, for what is open.
    assert typed(*words)[0] == 0
    assert typed.runs.begun == begun[: len(typed.runs.begun)]
    typed("norm=layernorm,rmsnorm,dyt", "seeds=3..8")
    assert sum("norm=dyt" in name for name in typed.runs.begun) == 8
    assert sum("norm=rmsnorm" in name for name in typed.runs.begun) == counts["rmsnorm"]


def test_another_variant_and_more_seeds_reuse_every_run(typed):
    typed("norm=layernorm,rmsnorm", "seeds=3")
    code, _ = typed("norm=layernorm,rmsnorm,dyt", "seeds=4")
    assert code == 0
    assert len(typed.runs.begun) == len(set(typed.runs.begun)) == 12
    report = json.loads((typed.runs.folder / "report.json").read_text())
    methods = {row["variant"]: row["effect"]["method"] for row in report["variants"][1:]}
    assert set(methods.values()) == {"sequential"}


def test_a_budget_ends_the_adding(typed):
    code, shown = typed("norm=layernorm,dyt", "seeds=3..20", "budget=0.001s")
    assert code == 0
    assert "after 3 seeds: the budget ends; norm=dyt not settled" in shown
    assert len(typed.runs.begun) == 6
    with pytest.raises(ConfigError, match="choose another name="):
        typed("norm=layernorm,rmsnorm", "seeds=3..20")
