"""The launcher that a command asks for."""

from hydra.utils import get_class
from omegaconf import OmegaConf

from lightning_transformer.compare.run.launchers.base import Launcher
from lightning_transformer.compare.run.request import Request
from lightning_transformer.compare.run.variants import first_values
from lightning_transformer.config.compose import composed, composer


def launcher_of(request: Request) -> Launcher:
    """Raises ConfigError, in one line, for options that it refuses."""
    firsts = [*first_values(request.swept), *first_values(request.tuned)]
    with composer(request.config_dirs):
        cfg = composed([*request.shared, *firsts, *request.launcher])
    content = OmegaConf.to_container(cfg.launcher, resolve=True)
    assert isinstance(content, dict)
    options = {str(key): value for key, value in content.items() if key != "_target_"}
    found = get_class(content["_target_"])(**options)
    assert isinstance(found, Launcher), found
    return found
