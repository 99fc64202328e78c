"""All loggers have the same values: of a sweep, of a run that was resumed, and no others."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto import wandb_internal_pb2

from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.runs.result import RunResult, read, read_history
from lightning_transformer.training.loggers.base import final_row
from lightning_transformer.training.loggers.keep_report import keep_report
from lightning_transformer.training.loggers.mlflow import local_store
from lightning_transformer.training.loggers.run_id import RUN_IDS_FILE
from tests.helpers.short_runs import At, crash, environment, interrupt, short, type_in

Values = dict[str, dict[int, float]]  # metric -> step -> value

ALL = [
    "logger=[tensorboard,csv,wandb,mlflow]",
    "logger.wandb.offline=true",
    "callbacks=default",
]


@pytest.fixture(autouse=True)
def on_this_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that W&B and MLflow write lies in the test's folder."""
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "MLFLOW_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "of_trackers"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.chdir(tmp_path)


def typed(folder: Path, *more: str) -> list[str]:
    kept = [o for o in short(folder) if not o.startswith(("logger=", "callbacks="))]
    return [*kept, *ALL, *more]


def csv_values(folder: Path) -> Values:
    series = read_history(folder)
    return {name: dict(points) for name, points in series.items() if name != "seconds"}


def tensorboard_values(folder: Path) -> Values:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def mlflow_values(folder: Path) -> Values:
    client, run_id = MlflowClient(local_store(folder)), ids(folder)["mlflow"]
    names = client.get_run(run_id).data.metrics
    return {n: {m.step: m.value for m in client.get_metric_history(run_id, n)} for n in names}


def wandb_records(folder: Path) -> Iterator[Any]:
    """What W&B keeps of a run on the disk, all of its starts in order."""
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for content in leveldb_records(file.read_bytes()[7:], first=7):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            yield record


def leveldb_records(data: bytes, *, first: int, block: int = 32768) -> Iterator[bytes]:
    """The records of a log in LevelDB's form, of which `first` bytes have been read before.

    Each part has a checksum (4 bytes), its length (2) and its kind (1 whole, 2 first, 3 middle,
    4 last); none crosses a block.
    """
    at, parts = 0, b""
    while at + 7 <= len(data):
        if (left := block - (at + first) % block) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def wandb_values(folder: Path) -> Values:
    found: Values = {}
    for record in wandb_records(folder):
        row = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
        step = row.pop("trainer/global_step", None)
        for name, value in row.items():
            if step is not None and not name.startswith(("_", "samples", "config")):
                found.setdefault(name, {})[int(step)] = float(json.loads(value))
    return found


def ids(folder: Path) -> dict[str, str]:
    return dict(json.loads((folder / RUN_IDS_FILE).read_text()))


def assert_same_values(folder: Path, *stopped: RunResult) -> None:
    """To the last bit; TensorBoard keeps float32. stopped: results of the run before it went on."""
    exact = csv_values(folder)
    assert len(exact["train/loss"]) == 6
    for result in (*stopped, read(folder)):  # each end has its final row
        reached = result.metrics | {"perf/tokens_per_s": result.tokens_per_second}
        for name, tag in final_row(reached).items():
            if name in reached:
                exact.setdefault(tag, {})[int(result.steps or 0)] = float(reached[name] or 0.0)
    for values in (wandb_values(folder), mlflow_values(folder)):
        assert values == exact
    shown = tensorboard_values(folder)
    for tag in final_row(
        read(folder).metrics
    ).values():  # the place that the HParams tab reserves at the start
        assert np.isnan(shown[tag].pop(0))
    assert shown == {
        name: {step: float(np.float32(value)) for step, value in points.items()}
        for name, points in exact.items()
    }


@pytest.mark.slow
def test_four_jobs_of_a_sweep_have_the_same_values_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And each its own run in each tracker, ended before the next one begins."""
    swept = ["norm=rmsnorm,layernorm", "seed=1,2", "sweep=all"]
    assert type_in(monkeypatch, "-m", *typed(tmp_path, *swept)) == 0
    assert "wandb" not in capsys.readouterr().err
    folders = sorted((tmp_path / "outputs/sweeps/all").glob("*/result.json"))
    assert len(folders) == 4
    for folder in (file.parent for file in folders):
        assert_same_values(folder)
        records = list(wandb_records(folder))
        assert [r.exit.exit_code for r in records if r.WhichOneof("record_type") == "exit"] == [0]
        (start,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
        assert (start.display_name, start.run_group) == (folder.name, "all")
        assert start.run_id == ids(folder)["wandb"]
    known = [ids(file.parent) for file in folders]
    for tracker in ("wandb", "mlflow"):
        assert len({one[tracker] for one in known}) == 4
    client = MlflowClient(local_store(tmp_path / "outputs/runs/one"))
    for file in folders:
        run = client.get_run(ids(file.parent)["mlflow"])
        assert run.info.run_name == file.parent.name
        assert run.info.status == "FINISHED"
        norm, seed = (text.split("=")[1] for text in file.parent.name.split(","))
        assert (run.data.params["norm"], run.data.params["seed"]) == (norm, seed)
        kept = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert {"config.yaml", "result.json", "metrics.csv", "samples.md"} <= kept
        samples = client.list_artifacts(run.info.run_id, "samples")
        assert sorted(s.path for s in samples) == ["samples/step-3.md", "samples/step-6.md"]


@pytest.mark.slow
@pytest.mark.parametrize("what", [interrupt, crash])
def test_a_resumed_run_goes_on_with_the_same_run_of_each_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Any
) -> None:
    folder = tmp_path / "outputs" / "runs" / "one"
    at_first = typed(tmp_path, "optimizer.lr=2e-3", f"hydra.run.dir={folder}")
    with monkeypatch.context() as patch:
        At(patch, 5, what)
        assert type_in(patch, *at_first) != 0
    before, ended = ids(folder), [read(folder)] if what is interrupt else []
    client = MlflowClient(local_store(folder))
    status = client.get_run(before["mlflow"]).info.status
    assert status == ("KILLED" if what is interrupt else "FAILED")
    # W&B has left a link to its own log, which does not stop what is resumed.
    links = [path for path in (folder / "wandb").rglob("*") if path.is_symlink()]
    assert any(folder not in path.resolve().parents for path in links)
    assert type_in(monkeypatch, f"resume={folder}", "optimizer.lr=3e-3") == 0
    assert ids(folder) == before
    assert len(list(folder.glob("wandb/offline-run-*"))) == 2
    starts = [r.run.run_id for r in wandb_records(folder) if r.WhichOneof("record_type") == "run"]
    assert starts == [before["wandb"]] * 2
    assert_same_values(folder, *ended)
    run = client.get_run(before["mlflow"])
    assert run.info.status == "FINISHED"
    # What was is a parameter, which MLflow does not change; what is, is a tag.
    assert run.data.params["optimizer.lr"] == "0.002"
    assert run.data.tags["resumed.optimizer.lr"] == "0.003"


KEYED = """
from lightning_transformer.training.loggers.tensorboard import TensorBoard


class Keyed(TensorBoard):
    def __init__(self, save_dir: str, *, api_key: str) -> None:
        super().__init__(save_dir)
"""


@pytest.mark.slow
def test_a_secret_that_was_typed_is_in_no_file_of_a_tracker(tmp_path: Path) -> None:
    """W&B would record the command line, so this is a process of its own."""
    (tmp_path / "keyed_logger.py").write_text(KEYED)
    place = tmp_path / "outputs" / "runs" / "one"
    options = typed(tmp_path, f"hydra.run.dir={place}", "+logger.k._target_=keyed_logger.Keyed")
    call = [
        sys.executable,
        "-m",
        "lightning_transformer",
        *options,
        "+logger.k.api_key=open-sesame",
    ]
    path = os.pathsep.join((environment()["PYTHONPATH"], str(tmp_path)))
    done = subprocess.run(
        call,
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # neither tracker says anything
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "run_ids.json"} <= {file.name for file in files}
    assert not [file for file in files if b"open-sesame" in file.read_bytes()]


@pytest.mark.slow
def test_the_report_of_a_comparison_is_a_run_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "norms"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>rmsnorm is better</p>")
    register()
    with composer():
        cfg = composed(["logger=[tensorboard,mlflow,wandb]", "logger.wandb.offline=true"])
    assert keep_report(cfg, folder) == ["MLflow", "WandB"]
    client = MlflowClient(local_store(folder / "report"))
    run = client.get_run(ids(folder / "report")["mlflow"])
    assert (run.info.run_name, run.info.status) == ("report", "FINISHED")
    assert run.data.params == {"comparison": "norms"}
    assert [a.path for a in client.list_artifacts(run.info.run_id)] == ["report.html"]
    records = list(wandb_records(folder / "report"))
    (start,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    assert (start.display_name, start.run_group) == ("report", "norms")
    (kept,) = [r.artifact for r in records if r.WhichOneof("record_type") == "artifact"]
    assert [entry.path for entry in kept.manifest.contents] == ["report.html"]
