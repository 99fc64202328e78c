"""logger=wandb: a run at Weights & Biases, or one on the disk that is synced later."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from lightning_transformer.training.loggers.run_id import remember, remembered

TRACKER = "wandb"
STEP = "trainer/global_step"  # the axis that Lightning's logger gives to every value


class WandB(WandbLogger):
    """A run of Weights & Biases with the name of the run folder; a resumed run goes on with it.

    Differs from Lightning's own: a run of its own also where another is open in this process,
    ended with its job; the id is kept in the run folder; nothing is recorded of the command line,
    which may hold secrets, and nothing of the console. Samples are panels, the run's files an
    artifact.

    save_dir: the run folder. group: None = the name of the folder above it, such as the sweep's.
    Raises ValueError where W&B is to be reached and no API key is known.
    """

    keeps_files = True

    def __init__(
        self,
        save_dir: str,
        *,
        project: str = "lightning_transformer",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        offline: bool = False,
    ) -> None:
        folder = Path(save_dir).absolute()
        known = remembered(folder, TRACKER)
        mode = "offline" if offline else os.environ.get("WANDB_MODE", "online")
        if mode == "online" and getattr(rank_zero_only, "rank", 0) == 0 and not has_credentials():
            raise ValueError(
                "logger=wandb has no API key: run `wandb login`, set WANDB_API_KEY, or type "
                "logger.wandb.offline=true to sync later"
            )
        super().__init__(
            name=folder.name,
            save_dir=folder,
            id=known or uuid4().hex[:8],
            project=project,
            entity=entity,
            group=group or folder.parent.name,
            tags=tags,
            mode="offline" if offline else None,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_meta=True),
        )
        self._wandb_init.pop("anonymous", None)  # W&B warns of it, whatever it is
        self._folder = folder
        # A run that is resumed offline has its id, and no server that could be asked for it.
        if mode != "online":
            self._wandb_init["resume"] = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of W&B, begun when it is first asked for."""
        if self._experiment is None:
            assert self._id is not None
            remember(self._folder, TRACKER, self._id)
            self._experiment = wandb.init(**self._wandb_init)
            self._experiment.define_metric(STEP)
            self._experiment.define_metric("*", step_metric=STEP, step_sync=True)
        return self._experiment

    @rank_zero_only
    def show_text(self, name: str, text: str, step: int) -> None:
        """A panel with the text as it is."""
        panel = wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)
        self.experiment.log({name: panel, STEP: step})

    @rank_zero_only
    def finish(self, status: str, files: Sequence[Path]) -> None:
        """Keep the files as one artifact, and end the run."""
        if self._experiment is None:
            return
        artifact = wandb.Artifact(f"run-{self._experiment.id}", type="run")
        for file in files:
            artifact.add_file(str(file), name=file.name)
        self._experiment.log_artifact(artifact)
        self._experiment.finish(exit_code=0 if status == "finished" else 1)


def has_credentials() -> bool:
    """Whether W&B knows who logs, without asking anyone or any server."""
    if wandb.run is not None:  # someone has logged in
        return True
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except TypeError:  # before version 0.31
        return bool(wandb.api.api_key)
