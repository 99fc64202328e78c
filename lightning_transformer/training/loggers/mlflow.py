"""logger=mlflow: a run in an MLflow store, by default in a local database beside the runs."""

import logging
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from mlflow.exceptions import MlflowException

from lightning_transformer.errors import ConfigError
from lightning_transformer.training.loggers.run_id import RUN_IDS_FILE, remember, remembered

TRACKER = "mlflow"
STATUSES = {"finished": "FINISHED", "stopped": "KILLED"}  # every other one is FAILED
DATABASE = ("sqlalchemy", "alembic")  # of mlflow, not of mlflow-skinny
LONGEST = 250  # characters of a parameter's value that Lightning's logger keeps
FORBIDDEN = re.compile(r"[^\w. :/-]")  # in the name of a parameter


class MLflow(MLFlowLogger):
    """A run of MLflow with the name of the run folder; a resumed run goes on with it.

    Differs from Lightning's own: the id is kept in the run folder; a parameter that a resumed run
    has changed, which MLflow refuses, becomes a tag; samples and the run's files are artifacts.

    save_dir: the run folder. tracking_uri: None = MLFLOW_TRACKING_URI, or else `mlflow.db` (SQLite)
    and `mlruns` beside the folders `runs` and `sweeps`, for all of them together.
    Raises ValueError where a database is asked for and the packages for one are missing.
    """

    keeps_files = True

    def __init__(
        self,
        save_dir: str,
        *,
        experiment_name: str = "lightning_transformer",
        tracking_uri: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        self._folder = Path(save_dir).absolute()
        self._known = remembered(self._folder, TRACKER)
        asked = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        uri = asked or local_store(self._folder)
        lacking = [name for name in DATABASE if find_spec(name) is None]
        if uri.startswith("sqlite:") and lacking:
            raise ValueError(
                f"logger=mlflow keeps runs in {uri}, which needs more packages: pip install "
                f"{' '.join(lacking)}"
            )
        with quiet():
            super().__init__(
                experiment_name=experiment_name,
                run_name=self._folder.name,
                tracking_uri=uri,
                tags=tags,
                artifact_location=None if asked else local_files(self._folder),
                run_id=self._known,
            )

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client of MLflow; the run is begun, or gone on with, when it is first asked for."""
        if self._initialized:
            return self._mlflow_client
        try:
            with quiet():
                client = super().experiment
        except MlflowException as error:
            if self._known is None:
                raise
            raise ConfigError(
                f"logger=mlflow: the run {self._known} of this folder is not in the store "
                f"({' '.join(str(error).split())}); give the same logger.mlflow.tracking_uri, or "
                f"remove {self._folder / RUN_IDS_FILE} to begin another"
            ) from None
        assert self._run_id is not None
        if self._known is None:
            remember(self._folder, TRACKER, self._run_id)
        else:
            client.update_run(self._run_id, status="RUNNING")
        return client

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """As parameters, which stay as they are; what has changed since, as tags `resumed.KEY`."""
        there = self.experiment.get_run(self.run_id).data.params
        given = {FORBIDDEN.sub("_", str(k)): str(v)[:LONGEST] for k, v in dict(params).items()}
        super().log_hyperparams({key: v for key, v in given.items() if key not in there})
        for key, value in given.items():
            if there.get(key, value) != value:
                self.experiment.set_tag(self.run_id, f"resumed.{key}", value)

    @rank_zero_only
    def show_text(self, name: str, text: str, step: int) -> None:
        """A text file among the artifacts for each step."""
        self.experiment.log_text(self.run_id, text, f"{name}/step-{step}.md")

    @rank_zero_only
    def finish(self, status: str, files: Sequence[Path]) -> None:
        """Keep the files among the artifacts, and end the run."""
        if not self._initialized:
            return
        for file in files:
            self.experiment.log_artifact(self.run_id, str(file))
        self.experiment.set_terminated(self.run_id, STATUSES.get(status, "FAILED"))


def local_store(folder: Path) -> str:
    """The address of the store of a run folder: `mlflow.db` beside `runs` and `sweeps`."""
    return f"sqlite:///{(_home(folder) / 'mlflow.db').as_posix()}"


def local_files(folder: Path) -> str:
    """Where files go that runs of this store keep."""
    return (_home(folder) / "mlruns").as_uri()


def _home(folder: Path) -> Path:
    """The folder that holds `runs` and `sweeps`; of a run elsewhere the folder above it."""
    homes = (parent.parent for parent in folder.parents if parent.name in ("runs", "sweeps"))
    return next(homes, folder.parent)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, neither Lightning nor MLflow reports that it makes a new store and experiment."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch.loggers.mlflow", "mlflow")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
