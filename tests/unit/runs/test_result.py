import dataclasses
import json
import math
import os
import subprocess
import sys

import pytest

from lightning_transformer.runs.result import (
    RunResult,
    config_sha256,
    find_results,
    read,
    read_history,
)

KEYS = [
    *("schema", "status", "error", "choices", "overrides", "seed", "metrics", "chance"),
    *("baseline", "floor", "signatures"),
    *(
        "last_train_loss",
        "test_targets",
        "history",
        "n_params",
        "n_params_non_embedding",
        "n_params_frozen",
        "n_params_trained",
        "n_params_active",
    ),
    *("flops_per_token", "tokens_seen", "tokens_generated", "steps", "seconds", "ended"),
    *("tokens_per_second", "peak_memory_bytes", "device", "precision", "compiled"),
    *("stopped_early", "guard"),
    *("init_from", "fresh", "reference", "data"),
    *("samples_sha256", "commit", "versions", "config_sha256"),
]


def full() -> RunResult:
    return RunResult(
        status="finished",
        choices={"norm": "rmsnorm"},
        overrides=["norm=rmsnorm", "seed=1"],
        seed=1,
        metrics={"val/loss": 0.1 + 0.2, "test/loss": 2.5},
        chance={"test/loss": 5.5},
        last_train_loss=2.25,
        test_targets=100,
        history="metrics.csv",
        n_params=10,
        n_params_non_embedding=8,
        n_params_active=6,
        n_params_frozen=2,
        n_params_trained=8,
        flops_per_token=60.0,
        tokens_seen=1000,
        steps=10,
        seconds=1.5,
        ended="2026-01-31T12:00:00+00:00",
        tokens_per_second=666.0,
        peak_memory_bytes=2**40,
        device="cpu",
        precision="32-true",
        stopped_early="val/loss has not improved",
        guard={"skipped": 2, "rewound": 0},
        data={"name": "docs", "sha256": "0" * 64, "bytes": 5, "n_tokens": 4},
        samples_sha256="1" * 64,
        commit="abc",
        versions={"python": "3.11"},
        config_sha256="f" * 64,
    )


def test_the_file_has_exactly_the_agreed_keys(tmp_path):
    RunResult().write(tmp_path)
    content = json.loads((tmp_path / "result.json").read_text())
    assert list(content) == KEYS
    assert content["schema"] == 2


def test_what_is_written_is_read(tmp_path):
    path = full().write(tmp_path)
    assert path == tmp_path / "result.json"
    assert read(tmp_path) == full()
    assert read(path) == full()
    assert os.listdir(tmp_path) == ["result.json"]


def test_values_that_are_not_finite_become_null(tmp_path):
    result = RunResult(metrics={"a": math.nan, "b": math.inf, "c": 1.0}, seconds=-math.inf)
    result.data = {"nested": [1.0, math.nan, (math.inf,)]}
    text = result.write(tmp_path).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    again = read(tmp_path)
    assert again.metrics == {"a": None, "b": None, "c": 1.0}
    assert again.seconds is None
    assert again.data == {"nested": [1.0, None, [None]]}
    assert math.isnan(result.metrics["a"])  # the object in memory keeps its values


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch, step):
    full().write(tmp_path)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        RunResult(status="failed").write(tmp_path)
    assert os.listdir(tmp_path) == ["result.json"]
    assert read(tmp_path) == full()


def test_keys_of_a_later_version_are_left_out(tmp_path):
    content = dataclasses.asdict(full()) | {"energy_joules": 5}
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert read(tmp_path) == full()


def test_missing_keys_take_their_defaults(tmp_path):
    (tmp_path / "result.json").write_text('{"schema": 2, "metrics": {"a": NaN}}')
    assert read(tmp_path) == RunResult(metrics={"a": None})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ('{"schema": 2, "sta', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\udcff", "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"status": "finished"}', "schema=None is not supported; this version reads 2"),
        (
            '{"schema": 1}',
            "schema=1 is not supported; this version reads 2; it is of an older version",
        ),
        ('{"schema": true}', "schema=True is not supported"),
        ('{"schema": "1"}', "schema='1' is not supported"),
        ('{"schema": 2, "status": "done"}', "status='done' must be one of running, finished"),
        ('{"schema": 2, "metrics": [1]}', r"metrics=\[1\] must be an object"),
        ('{"schema": 2, "metrics": null}', "metrics=None must be an object"),
        ('{"schema": 2, "overrides": {}}', "overrides={} must be a list"),
        ('{"schema": 2, "metrics": {"a": "low"}}', "metrics.a='low' must be a number or null"),
        ('{"schema": 2, "metrics": {"a": true}}', "metrics.a=True must be a number or null"),
        (
            '{"schema": 2, "metrics": {"a": 1' + "0" * 400 + "}}",
            "metrics.a=1000.* must be a number",
        ),
        ('{"schema": 2, "seed": "one"}', "seed='one' must be a whole number or null"),
        ('{"schema": 2, "seed": true}', "seed=True must be a whole number or null"),
        ('{"schema": 2, "overrides": [1]}', r"overrides\[0\]=1 must be text"),
        ('{"schema": 2, "tokens_per_second": "fast"}', "tokens_per_second='fast' must be a number"),
        ('{"schema": 2, "versions": {"torch": 2}}', "versions.torch=2 must be text"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_one_line(tmp_path, text, message):
    (tmp_path / "result.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path)
    assert str(tmp_path / "result.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_result_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"result.json does not exist"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"nowhere does not exist"):
        read(tmp_path / "nowhere")


def files(paths):
    return [one.file for one in find_results(paths)]


def test_find_results_is_sorted_and_takes_each_file_once(tmp_path):
    for name in ("b/x", "a", "b/a", "c/d/e"):
        (tmp_path / name).mkdir(parents=True)
        RunResult().write(tmp_path / name)
    (tmp_path / "c" / "other.json").write_text("{}")
    (tmp_path / "latest").symlink_to(tmp_path / "a")
    expected = [tmp_path / name / "result.json" for name in ("a", "b/a", "b/x", "c/d/e")]
    assert files([tmp_path]) == expected
    assert files([tmp_path / "b", tmp_path, expected[0]]) == expected
    assert len(list(find_results([tmp_path / "latest", tmp_path / "a"]))) == 1  # one file, two ways
    assert files([str(tmp_path / "b")]) == expected[1:3]
    assert files([tmp_path / "c" / "d"]) == expected[3:]
    with pytest.raises(ValueError, match=r"nowhere does not exist; name a folder of runs"):
        list(find_results([tmp_path / "nowhere"]))


def test_copies_that_mlflow_keeps_are_no_runs(tmp_path):
    for place in ("a", "mlruns/0/1f/artifacts"):
        (tmp_path / place).mkdir(parents=True)
        RunResult().write(tmp_path / place)
    assert files([tmp_path]) == [tmp_path / "a" / "result.json"]


def test_what_is_no_result_is_marked(tmp_path):
    places = {"a": "finished", "b": "failed", "c": "stopped", "d": "running"}
    places |= {"screening/e": "finished", "logs/f": "failed"}
    for place, status in places.items():
        (tmp_path / place).mkdir(parents=True)
        RunResult(status=status).write(tmp_path / place)
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "result.json").write_text("{")
    marks = {one.file.parent.name: one.mark for one in find_results([tmp_path])}
    statuses = {"a": "", "b": "failed", "c": "stopped", "d": "running", "g": "unreadable"}
    assert marks == statuses | {"e": "", "f": "failed"}  # a folder of that name is nothing special
    (tmp_path / "comparison.json").write_text("{}")
    marks = {one.file.parent.name: one.mark for one in find_results([tmp_path])}
    assert marks == statuses | {"e": "screening", "f": "screening"}


def test_config_sha256_depends_on_values_and_not_on_order():
    one = config_sha256({"a": {"x": 1, "y": [1, 2.5, None]}, "b": "é"})
    assert one == config_sha256({"b": "é", "a": {"y": [1, 2.5, None], "x": 1}})
    assert one != config_sha256({"b": "é", "a": {"y": [1, 2.5, None], "x": 2}})
    assert one != config_sha256({"b": "é", "a": {"y": [2.5, 1, None], "x": 1}})
    # of the bytes {"a":1}, by sha256sum
    assert config_sha256({"a": 1}) == (
        "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )


def test_read_history_gives_series_by_step(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(
        'step,seconds,train/loss,"val,loss"\n0,0.5,3.25,\n5,1.5,2.5,nan\n10,2.0,,1.125\n'
    )
    history = read_history(tmp_path)
    assert list(history) == ["seconds", "train/loss", "val,loss"]
    assert history["seconds"] == [(0, 0.5), (5, 1.5), (10, 2.0)]
    assert history["train/loss"] == [(0, 3.25), (5, 2.5)]
    assert math.isnan(history["val,loss"][0][1])
    assert history["val,loss"][1] == (10, 1.125)
    assert read_history(path)["train/loss"] == history["train/loss"]


@pytest.mark.parametrize("torn", ["10,2.0,1.2", "10", "10,2.0,1.25,9,9"])
def test_a_torn_last_line_is_not_read(tmp_path, torn):
    path = tmp_path / "metrics.csv"
    path.write_text("step,seconds,loss\n5,1.0,2.0\n" + torn)
    assert read_history(path) == {"seconds": [(5, 1.0)], "loss": [(5, 2.0)]}


@pytest.mark.parametrize("line", ["10,2.0", "10,2.0,1.25,9", "a,1,2", "5.5,1,2", "10,x,2", ""])
def test_a_broken_line_is_named(tmp_path, line):
    path = tmp_path / "metrics.csv"
    path.write_text(f"step,seconds,loss\n5,1.0,2.0\n{line}\n")
    with pytest.raises(ValueError, match=r"metrics.csv: line 3 does not fit its header"):
        read_history(path)


def test_a_missing_history_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"metrics.csv does not exist"):
        read_history(tmp_path)
    (tmp_path / "metrics.csv").write_text("")
    assert read_history(tmp_path) == {}


def test_reading_results_needs_the_standard_library_only():
    code = (
        "import sys; import lightning_transformer.runs.result; "
        "print([m for m in ('torch', 'lightning', 'numpy', 'omegaconf') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]", ran.stdout


def test_a_result_of_an_earlier_writer_lacks_what_was_added_since(tmp_path):
    path = full().write(tmp_path)
    content = json.loads(path.read_text())
    for key in ("chance", "last_train_loss", "test_targets", "n_params_active"):
        del content[key]
    path.write_text(json.dumps(content))
    found = read(tmp_path)
    assert (found.chance, found.test_targets, found.n_params_active) == ({}, None, None)
    assert found.metrics == full().metrics
