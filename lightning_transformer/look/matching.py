"""A task for data whose kind of example the chosen one does not read."""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.utils import get_object
from omegaconf import DictConfig

CHOOSES_TASK = ("task=", "experiment=", "preset=")


def matching(
    cfg: DictConfig, overrides: Sequence[str], model: str, loader: ConfigLoader
) -> list[tuple[str, str]]:
    """(task, model) that read the data of a configuration; none where its own task does.

    model: the chosen one, the first that is tried, and the only one if it was typed. None either
    where the task was typed: it is what was asked for.
    """
    if any(text.startswith(CHOOSES_TASK) for text in overrides):
        return []
    example = getattr(get_object(cfg.data._target_), "example", None)
    if getattr(get_object(cfg.task._target_), "example", None) is example:
        return []
    typed = any(text.startswith("model=") for text in overrides)
    others = [] if typed else [name for name, _ in _classes("model", loader) if name != model]
    models = dict(_classes("model", loader))
    return [
        (task, name)
        for name in (model, *others)
        for task, kind in _classes("task", loader)
        if kind.example is example
        and kind.causal in (None, models[name].causal)
        and kind.needs_source in (None, models[name].has_source)
    ]


def _classes(group: str, loader: Any) -> Iterator[tuple[str, Any]]:
    """Each option of a group with what it builds."""
    for name in loader.get_group_options(group):
        content = loader.repository.load_config(f"{group}/{name}").config
        yield name, get_object(content._target_)
