"""The files that Hydra keeps of a run, without the secrets in them."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.runs.atomic import write_atomically
from lightning_transformer.runs.secrets import redacted, redacted_text


class HideSecrets(Callback):
    """Rewrites a sweep's multirun.yaml, and what Hydra writes into a run folder if it is asked to.

    It is not by default: Hydra would write before the folder is known to be this run's.
    """

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.runtime.output_dir)
        files = list((folder / str(config.hydra.output_subdir)).glob("*.yaml"))
        for file in [*files, Path(config.hydra.sweep.dir) / "multirun.yaml"]:
            if file.is_file():
                hide_secrets(file)


def hide_secrets(file: Path) -> None:
    """Hide the secrets in a YAML file; one without any is left as it is."""
    content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    hidden = _without_secrets(content)
    if hidden != content:
        write_atomically(file, OmegaConf.to_yaml(OmegaConf.create(hidden)))


def write_hydra_files(folder: Path, cfg: DictConfig, hydra: Any) -> None:
    """Write .hydra of a run folder as Hydra does: configuration, its own one, and overrides."""
    (folder / ".hydra").mkdir(exist_ok=True)
    contents = {"config": cfg, "hydra": {"hydra": hydra}, "overrides": hydra.overrides.task}
    for name, content in contents.items():
        plain = OmegaConf.to_container(OmegaConf.create(content), resolve=False)
        text = OmegaConf.to_yaml(OmegaConf.create(_without_secrets(plain)))
        write_atomically(folder / ".hydra" / f"{name}.yaml", text)


def _without_secrets(content: Any) -> Any:
    """A configuration, or a list of overrides, with secrets hidden wherever they stand."""
    return _typed(redacted(content))


def _typed(node: Any) -> Any:
    """Overrides among the texts, such as those that Hydra keeps of the command line, hidden too."""
    if isinstance(node, dict):
        return {key: _typed(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_typed(item) for item in node]
    return redacted_text(node) if isinstance(node, str) and "=" in node else node
