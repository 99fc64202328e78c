"""Which family says what a configuration of ours says, and its config.json; without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from lightning_transformer.config.compose import composed, composer
from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.init_from import override_text
from lightning_transformer.convert.model_folder import family, family_names
from lightning_transformer.errors import ConfigError

# Of a model: what trains it or computes it, and numbers that `Family.describe` has made exact.
APART = {"init", "optimizer", "schedule", "kernel", "loss", "dropout", "stochastic_depth"}
EXACT = {
    *("max_len", "hidden_mult", "round_to", "head_dim", "rope_dim", "value_dim", "kv_rank"),
    "original_len",
}
BALANCE = {
    *("aux_loss", "z_loss", "bias_rate", "mask_rate", "pooling"),
    *("n_generated", "n_beams", "length_penalty"),
}
SKIPPED = APART | EXACT | BALANCE


def described(
    ours: Mapping[str, Any], task: str, likely: Sequence[str] = ()
) -> tuple[str, dict[str, Any]]:
    """The family of a resolved configuration, and its config.json without the vocabulary.

    A family describes it if the overrides that its config.json gives make the same model. task: the
    option. likely: families to try first, for some are equal here. Raises ValueError that names
    what is in the way of the nearest one.
    """
    if "tie_embeddings" not in ours["model"]["task"]:
        raise ValueError(f"task={task} is in the way: the families have an output over tokens")
    nearest: tuple[list[str], str] | None = None
    for name in sorted(family_names(), key=lambda name: name not in likely):
        try:
            config = json.loads(json.dumps(family(name).describe(ours)))
            keys = Keys(config, ["lm_head.weight"] if not ours["tie_embeddings"] else [])
            sizes = family(name).sizes(keys)
            keys.end()
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # another kind of model
        try:
            theirs = _model(sizes, task)
        except ConfigError:
            continue  # of a task that its kind of model has not
        if theirs["_target_"] != ours["model"]["_target_"]:
            continue
        differences = _differences(theirs, ours["model"], "")
        if not differences:
            return name, config
        if nearest is None or len(differences) < len(nearest[0]):
            nearest = differences, name
    if nearest is None:
        raise ValueError(f"no family has a model like this; they are {', '.join(family_names())}")
    key = nearest[0][0]
    raise ValueError(f"{key} is in the way: model_type={nearest[1]}, the nearest family, has not")


def _model(sizes: Mapping[str, Any], task: str) -> Any:
    """The model that overrides make, resolved."""
    with composer():
        typed = [f"{key}={override_text(value)}" for key, value in sizes.items()]
        cfg = composed([*typed, f"task={task}"])
        return OmegaConf.to_container(cfg, resolve=True)["model"]  # type: ignore[index,call-overload]


def _differences(theirs: Any, ours: Any, key: str) -> list[str]:
    """What differs in ours, as key=value, the outermost components first."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return [] if theirs == ours else [f"{key.lstrip('.')}={ours}"]
    if theirs.get("_target_") != ours.get("_target_"):
        target = str(ours.get("_target_")).split(".")
        return [f"{key.lstrip('.')}={target[-2] if len(target) > 1 else target[-1]}"]
    found: list[str] = []
    for name in {**theirs, **ours}:
        if name not in SKIPPED:
            found += _differences(theirs.get(name), ours.get(name), f"{key}.{name}")
    return sorted(found, key=lambda text: text.count("."))
