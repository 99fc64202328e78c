"""logger=mlflow; whole runs are in tests/runs/test_loggers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from lightning_transformer.errors import ConfigError
from lightning_transformer.training.loggers import mlflow as module
from lightning_transformer.training.loggers.mlflow import MLflow, local_files, local_store
from lightning_transformer.training.loggers.run_id import RUN_IDS_FILE, remembered


@pytest.mark.parametrize(
    ("folder", "home"),
    [
        ("outputs/runs/one", "outputs"),
        ("outputs/sweeps/norms/norm=rmsnorm", "outputs"),
        ("elsewhere/one", "elsewhere"),
    ],
)
def test_all_runs_beside_each_other_have_one_store(tmp_path: Path, folder: str, home: str) -> None:
    place = tmp_path / home
    assert local_store(tmp_path / folder) == f"sqlite:///{place.as_posix()}/mlflow.db"
    assert local_files(tmp_path / folder) == (place / "mlruns").as_uri()


def test_a_store_without_its_packages_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"which needs more packages: pip install sqlalchemy alem"):
        MLflow(str(tmp_path / "run"))


@pytest.mark.slow
def test_a_run_goes_on_under_its_id_and_is_refused_where_its_store_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "runs" / "ä b"
    folder.mkdir(parents=True)
    first = MLflow(str(folder), tags={"why": "a test"})
    first.log_hyperparams({"norm": "rmsnorm", "+x@y": 1})
    first.log_metrics({"val/loss": float("nan")}, step=3)
    (folder / "samples.md").write_text("one")
    first.finish("stopped", [folder / "samples.md"])
    run_id = remembered(folder, "mlflow")
    assert run_id is not None
    again = MLflow(str(folder))
    again.log_hyperparams({"norm": "layernorm"})
    client = MlflowClient(local_store(folder))
    run = client.get_run(run_id)
    assert again.run_id == run_id
    assert run.info.status == "RUNNING"
    assert run.data.params == {"norm": "rmsnorm", "_x_y": "1"}
    assert run.data.tags["resumed.norm"] == "layernorm"
    assert (run.data.tags["why"], run.info.run_name) == ("a test", "ä b")
    other = MLflow(str(folder), tracking_uri=f"sqlite:///{tmp_path.as_posix()}/other.db")
    with pytest.raises(
        ConfigError, match=f"the run {run_id} of this folder is not in the store"
    ) as e:
        other.log_metrics({"val/loss": 1.0}, step=1)
    assert RUN_IDS_FILE in str(e.value)
