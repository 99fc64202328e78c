"""Training one run from Python."""

from __future__ import annotations

import contextlib
import html
import io
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from lightning_transformer.api.overrides import check_overrides
from lightning_transformer.config.compose import composed_with_options, composer
from lightning_transformer.config.validate import plain
from lightning_transformer.distributed.processes import check_started
from lightning_transformer.errors import ConfigError, Stopped
from lightning_transformer.runs.claim import claim, claim_new
from lightning_transformer.runs.naming import RUNS, check_place, run_suffix
from lightning_transformer.runs.result import RESULT_FILE, RunResult, config_sha256, read
from lightning_transformer.tasks import light_torchmetrics  # noqa: F401
from lightning_transformer.training.run import RunRequest, run


class TrainingResult(RunResult):
    """The result of a run, as in result.json, and the folder that it is in."""

    folder: Path

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value:.4g}" for name, value in self._numbers().items())
        return f"TrainingResult({str(self.folder)!r}, {self.status}, {shown})"

    def _repr_html_(self) -> str:
        """The metrics as a table, for a notebook."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{value:.4g}</td></tr>"
            for name, value in self._numbers().items()
        )
        caption = f"{html.escape(str(self.folder))}: {html.escape(self.status)}"
        return f"<table><caption>{caption}</caption>{rows}</table>"

    def _numbers(self) -> dict[str, float]:
        sizes = {"parameters": self.n_params, "steps": self.steps, "seconds": self.seconds}
        return {k: v for k, v in (self.metrics | sizes).items() if v is not None}


def train(
    overrides: Sequence[str] = (), folder: Path | str | None = None, *, quiet: bool = True
) -> TrainingResult:
    """Train, test and record one run; checks and errors are those of the command line.

    overrides: as on the command line, e.g. ["norm=dyt", "trainer.max_steps=20"]. folder: where the
    run writes; None = a new folder below outputs/runs, named as the command line names it. quiet:
    print nothing. Raises ConfigError for what cannot work, and for a folder that holds a run.
    """
    overrides = check_overrides(overrides)
    for override in overrides:
        if override.lstrip("+~").startswith(("hydra.", "hydra/", "resume=")):
            raise ConfigError(f"{override} is for the command line; give folder= for the place")
    place = _named_folder(overrides) if folder is None else Path(folder)
    check_place([f"hydra.run.dir={place}"], several=False)
    if folder is not None and (place / RESULT_FILE).exists():
        raise ConfigError(f"{place} holds a run already; choose another folder")
    with composer():
        cfg, options = composed_with_options(overrides)
    check_started(cfg.trainer.devices, cfg.trainer.num_nodes)
    digest = config_sha256(plain(cfg))
    lock = claim_new(place, digest) if folder is None else claim(place, digest)
    place = lock.folder
    hidden = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
    try:
        with hidden:
            result = run(cfg, RunRequest.of(place, overrides, options))
    except Stopped:  # a signal: the run ended with a checkpoint, and can go on
        result = read(place)
    finally:
        lock.release()
    found = TrainingResult(**{key.name: getattr(result, key.name) for key in fields(RunResult)})
    found.folder = place
    return found


def _named_folder(overrides: Sequence[str]) -> Path:
    """The folder of a new run, named after the time and the overrides."""
    return Path(f"{RUNS}/{time.strftime('%Y-%m-%d_%H-%M-%S')}{run_suffix(overrides)}")
