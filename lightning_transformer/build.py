"""Configuration to objects: the only caller of Hydra's instantiate."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.config.validate import check_node
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import ATTRIBUTE, merge_adapters, train_only
from lightning_transformer.runs.result import check_version
from lightning_transformer.runs.trusted_targets import check_targets


def build(cfg: DictConfig, group: str, **sizes: Any) -> Any:
    """Build the object of one config group; sizes are the arguments known only now.

    Raises ConfigError where the target refuses its options.
    """
    # Resolved first: instantiate would look up chained references in a copy that lacks their roots.
    node = OmegaConf.to_container(cfg[group], resolve=True)
    assert isinstance(node, dict)
    with refusing(cfg, group):
        if not sizes:
            return instantiate(node, _convert_="all")
        # Called afterwards, because instantiate copies what it is given.
        return instantiate(node | {"_partial_": True}, _convert_="all")(**sizes)


@contextmanager
def refusing(cfg: DictConfig, group: str) -> Iterator[None]:
    """Within, a ValueError is a user's error: it becomes a ConfigError of one line."""
    try:
        yield
    except (InstantiationException, ValueError) as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, ValueError | ImportError):
            raise ConfigError(_line(cfg, group, cause)) from error
        raise cause from error


def _line(cfg: DictConfig, group: str, error: BaseException) -> str:
    """One line that begins with the key, or at least with the group.

    A component knows its options by their own names: for `dropout=1.0 must be`, those groups are
    named that hold this value.
    """
    text = " ".join(str(error).split())
    option = re.match(r"(\w+)=(\S+) ", text)
    if option is None:
        return text if re.match(r"\w+(\.\w+)+[= ]", text) else f"{group}: {text}"
    name, value = option.groups()
    nodes = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(nodes, dict)
    if name in nodes:  # a group, such as position=rope, or a key without one
        return text
    keys = [
        ".".join((str(key), name))
        for key, node in nodes.items()
        if isinstance(node, dict) and name in node and str(node[name]) == value
    ]
    return text.replace(name, " or ".join(keys) or f"{group}.{name}", 1)


def build_model(
    cfg: DictConfig,
    *,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    seed: int | None,
    dropout_seed: int | None = None,
) -> Transformer:
    """The model of a configuration, with initial weights from the seed, if there is one.

    dropout_seed: of dropout in training; by default the same.
    """
    given = {"vocabulary": vocabulary, "labels": labels, "seed": seed, "dropout_seed": dropout_seed}
    model = build(cfg, "model", **given)
    assert isinstance(model, Transformer)
    model.task.connect(load_run)
    if "freeze" in cfg:  # a stored model alone is not trained
        model.updates.stand_still = build(cfg, "freeze", model=model)
        model.updates.rates = build(cfg, "rates")
    return model


def add_adapter(cfg: DictConfig, model: Transformer, *, new: Sequence[str] = ()) -> None:
    """Put the adapter of a configuration into a model that has the weights of its base.

    new: names of parameters that the run adds to the base, which are trained with the adapter.
    """
    adapted = build(cfg, "adapter", model=model, seed=cfg.init_seed)
    model.updates.lr_mult = adapted.lr_mult
    if adapted.trained is not None:
        with refusing(cfg, "adapter"):
            train_only(model, adapted.trained, new)


def load_run(folder: Path, checkpoint: str = "best", trust: Sequence[str] = ()) -> Transformer:
    """Rebuild a trained model from its run folder alone; the folder is data and runs nothing.

    checkpoint: best (by trainer.monitor of the run, usually the validation loss) or last. trust:
    packages, besides this one and installed plug-ins, whose components the folder's configuration
    may name.
    Raises ValueError in one line.
    """
    check_version(folder)
    files = RunFiles(Path(folder))
    stored, vocabulary, labels = files.load()
    cfg = _check_foreign(stored, folder, trust)
    weights = files.load_checkpoint(checkpoint).get("state_dict", {})
    try:
        # First without memory for weights, whose sizes could be anything.
        with torch.device("meta"):
            planned = _whole(cfg, vocabulary, labels)
        _check_fits(planned, weights, f"checkpoint {checkpoint} of {folder}")
        model = _whole(cfg, vocabulary, labels)
    except (TypeError, AttributeError, AssertionError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{folder}: its config.yaml describes no model ({reason})") from None
    model.load_state_dict(weights)
    return model.eval()


def merged_weights(folder: Path, checkpoint: str = "best") -> dict[str, Tensor]:
    """The weights of a run by the names of its model without adapters, which are merged into them.

    Raises ValueError, in one line, for an adapter that cannot be merged.
    """
    weights: dict[str, Tensor] = RunFiles(folder).load_checkpoint(checkpoint)["state_dict"]
    if not any(f".{ATTRIBUTE}." in name for name in weights):
        return weights
    model = load_run(folder, checkpoint)
    try:
        merge_adapters(model)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return model.state_dict()


def _whole(cfg: DictConfig, vocabulary: Vocabulary, labels: Sequence[str]) -> Transformer:
    """The model of a stored configuration with its adapter, whatever the run trained of it."""
    given = {"seed": None, "dropout_seed": cfg.seed}  # all weights are read
    model = build_model(cfg, vocabulary=vocabulary, labels=labels, **given)
    if "adapter" in cfg:
        build(cfg, "adapter", model=model, seed=cfg.seed)
    return model


def _check_foreign(stored: DictConfig, folder: Path, trust: Sequence[str]) -> DictConfig:
    """What is needed of a stored configuration, if it names no foreign code; imports nothing."""
    content = OmegaConf.to_container(stored, resolve=False)
    assert isinstance(content, dict)
    node, seed = content.get("model"), content.get("seed")
    if not isinstance(node, dict) or "_target_" not in node or type(seed) is not int:
        raise ValueError(f"{folder}: its config.yaml holds no model with a seed")
    nodes = {"model": node}
    if "adapter" in content:  # runs of before have none
        nodes["adapter"] = content["adapter"]
    cfg = OmegaConf.create({**nodes, "seed": seed})
    try:
        for key, one in nodes.items():
            check_targets(one, key, trust)
            check_node(cfg[key], key)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return cfg


def _check_fits(model: Transformer, weights: Any, where: str) -> None:
    """Refuse weights of another model; the first five differences say which one it might be."""
    if not isinstance(weights, dict) or not all(isinstance(w, Tensor) for w in weights.values()):
        raise ValueError(f"{where} holds no weights")
    wanted = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    differences = [f"{name} is missing" for name in wanted if name not in found]
    differences += [f"{name} is unexpected" for name in found if name not in wanted]
    differences += [
        f"{name} has shape {found[name]} and not {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise ValueError(
            f"{where} does not fit its config.yaml: {'; '.join(differences[:5])}{more}; use the "
            "config.yaml that the weights were trained with"
        )
