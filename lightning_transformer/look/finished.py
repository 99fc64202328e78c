"""The configuration of a run folder, and which data its steps had."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.data.base import DataModule
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import check_version, read
from lightning_transformer.runs.trusted_targets import check_targets

BUILT = ("data", "model", "trainer")


def config_of(run: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The configuration that a run was started with, which names no foreign code.

    trust: packages, besides this one and plug-ins, that it may name. Raises ValueError.
    """
    check_version(run)
    cfg = RunFiles(run).config()
    content = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(content, dict)
    for group in BUILT:
        if not isinstance(content.get(group), dict):
            raise ValueError(f"{run}: its config.yaml has no {group}")
        try:
            check_targets(content[group], group, trust)
        except ValueError as error:
            raise ValueError(f"{run}: {error}") from None
    return cfg


def check_unchanged(run: Path, data: DataModule) -> None:
    """Refuse data that are not those of the run."""
    then, now = read(run).data.get("sha256"), data.identity.sha256
    if then is not None and then != now:
        raise ConfigError(
            f"the data have changed since {run} (data.sha256: {str(then)[:12]} then, {now[:12]} "
            "now); put them back to see what it saw"
        )


def leave_out(run: Path, data: DataModule) -> None:
    """Pass over the data that the run skipped after spikes, as its last checkpoint says."""
    if not read(run).guard.get("rewound"):
        return
    loops: Any = RunFiles(run).load_checkpoint("last").get("loops", {})
    for state in loops["fit_loop"]["state_dict"]["combined_loader"]:
        data.left_out.merge(state.get("left_out", []))
