"""init_from=FOLDER: what the folder says of the model, as overrides before those that were typed.

Read while a configuration is composed, without torch; `training.starting_weights` takes the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.compose import (
    chosen_options,
    composed_with_options,
    composer,
    preflight,
)
from lightning_transformer.config.overrides import parse, values
from lightning_transformer.config.validate import used_groups
from lightning_transformer.convert.family import Sizes
from lightning_transformer.convert.model_folder import CONFIG, TOKENIZER, ModelFolder
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.result import RESULT_FILE, read
from lightning_transformer.runs.untrusted import stored_config

KEY = "init_from"
GOES_ON = ("resume=null", "resume=auto")  # which may start a run
# What the weights are made for: another value of it cannot be typed.
SIZES = frozenset(
    {
        *("n_layers", "n_encoder_layers", "n_decoder_layers", "d_model", "hidden_mult"),
        *("n_heads", "n_kv_heads", "head_dim", "rope_dim", "value_dim", "kv_rank", "q_rank"),
        *("n_experts", "n_shared", "d_state", "n_groups", "conv_size", "expand", "rank"),
    }
)
GROUPS = (  # of a run's architecture; the options of its task come with the same task alone
    *("model", "norm", "qk_norm", "activation", "ffn", "attention", "pattern", "residual"),
    *("block", "layer_sharing", "memory_tokens", "embedding", "position", "init"),
)
OF_TASK = ("task", "pooling")
LOOSE = ("tie_embeddings", "output_layer")  # no groups


def started_arguments(arguments: Sequence[str], folders: Sequence[str] = ()) -> list[str]:
    """The arguments, with what the folder of init_from= says of the model before them.

    Of a sweep over init_from all folders must say the same, which then holds for init_from=null
    too: a model with first weights at random that is otherwise equal. folders: of further options.
    Raises ConfigError in one line for a folder that cannot be used.
    """
    places = _places(arguments)
    if not places:
        return list(arguments)
    if any(a.startswith("resume=") and a not in GOES_ON for a in arguments):
        raise ConfigError(
            f"{KEY}={places[0]} beside resume=: a run goes on from its own checkpoint; leave "
            f"{KEY} out"
        )
    try:
        found = [_overrides(Path(place), arguments, folders) for place in places]
    except ConfigError:
        preflight(arguments, folders)  # where what was typed is at fault, it says so best
        raise
    except ValueError as error:
        raise ConfigError(f"{KEY}={error}") from None
    if any(other != found[0] for other in found):
        differing = next(other for other in found if other != found[0])
        key = next(k for k in (*found[0], *differing) if found[0].get(k) != differing.get(k))
        raise ConfigError(
            f"{KEY}={','.join(places)}: models that differ ({key}) cannot be one sweep; compare "
            "folders of one kind of model"
        )
    return [*(f"{key}={override_text(value)}" for key, value in found[0].items()), *arguments]


def start_of(place: str) -> ModelFolder | Path:
    """The model, or the run folder, at a place. Raises ValueError in one line."""
    folder = Path(place)
    if not folder.is_dir():
        hub = place.count("/") == 1 and not place.startswith((".", "/"))
        what = "a name on the hub is not read, for there is no network here" if hub else "no folder"
        raise ValueError(
            f"{place}: {what}; save a model there with save_pretrained({place.split('/')[-1]!r}), "
            "or name a run such as outputs/runs/<date_time>"
        )
    if (folder / RESULT_FILE).is_file():
        return folder
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"{place} holds neither a run ({RESULT_FILE}) nor a model in the format of Hugging "
            f"Face ({CONFIG}); save one there with save_pretrained"
        )
    return ModelFolder(folder)


def _places(arguments: Sequence[str]) -> list[str]:
    """The folders that were typed, each once."""
    typed = [a for a in arguments if a.lstrip("+").startswith(f"{KEY}=")]
    found: list[str] = []
    for override in parse(typed):
        texts = [text.split("=", 1)[1].strip("'\"") for text in values(override)]
        found += [text for text in texts if text not in ("null", "", *found)]
    return found


def _overrides(
    folder: Path, arguments: Sequence[str], config_dirs: Sequence[str]
) -> dict[str, Any]:
    """What is not typed of the facts of a folder and has a place in the run that was asked for."""
    start = start_of(str(folder))
    with composer(config_dirs) as loader:
        # Of a sweep the first job; one that differs in what it has is refused by the usual checks.
        typed = [texts[0] for o in parse(arguments, loader) if (texts := values(o))]
        rest = [text for text in typed if override_key(text) != KEY]
        keys = {override_key(text) for text in typed}
        if "tokenizer" not in keys and any(key.startswith("tokenizer.") for key in keys):
            rest.append(
                "tokenizer=pretrained"
            )  # whose options they are, as `_tokenizer` chooses it
        facts = start.sizes() if isinstance(start, ModelFolder) else _facts_of_run(start, rest)
        chosen = {k: v for k, v in facts.items() if "." not in k and k not in LOOSE}
        groups = [f"{k}={override_text(v)}" for k, v in chosen.items() if k not in keys]
        if isinstance(start, ModelFolder) and "model" in keys:
            facts["model"] = chosen_options([f"preset={facts['preset']}"])["model"]
        _refuse_contradictions(facts, typed, folder)
        cfg, options = composed_with_options([*groups, *rest])
    if options.get("init") == "mup":
        raise ConfigError(
            f"init=mup beside {KEY}: it sets how scores and rates grow with the width, for weights "
            "that it has drawn; leave init out"
        )
    found = {k: v for k, v in facts.items() if k not in keys and (k in chosen or _has(cfg, k))}
    found |= _tokenizer(start, cfg, options, keys)
    _check_positions(start, cfg)
    return found


def _has(cfg: DictConfig, key: str) -> bool:
    """Whether a key is there, and for the output layer, whether the task reads it."""
    group, _, name = key.rpartition(".")
    node = cfg.get("task" if group == "output_layer" else group, {}) if group else cfg
    return isinstance(node, DictConfig) and name in node


def _refuse_contradictions(facts: Sizes, typed: Sequence[str], folder: Path) -> None:
    for text in typed:
        key, _, value = text.lstrip("+").partition("=")
        is_size = key.rpartition(".")[2] in SIZES or key in ("model", "preset")
        if is_size and key in facts and override_text(facts[key]) != value:
            own = f"{key}={override_text(facts[key])}"
            raise ConfigError(
                f"{text} contradicts {KEY}={folder}, which has {own}; leave {key} out"
            )


def _tokenizer(
    start: ModelFolder | Path, cfg: DictConfig, options: Mapping[str, str], keys: set[str]
) -> dict[str, Any]:
    """tokenizer=pretrained, where the data read text."""
    folder = start.path if isinstance(start, ModelFolder) else start
    if "tokenizer" not in cfg.get("data", {}):
        return {}
    if "tokenizer" in keys:
        if options.get("tokenizer") not in ("pretrained", "file"):
            raise ConfigError(
                f"tokenizer={options.get('tokenizer')} contradicts {KEY}={folder}, whose table of "
                "embeddings is of its own tokens; leave tokenizer out"
            )
        return {}
    if not (folder / TOKENIZER).is_file():
        raise ConfigError(
            f"{KEY}={folder} has no {TOKENIZER}: save it there with the tokenizer's "
            "save_pretrained, or give tokenizer=pretrained tokenizer.path=FOLDER"
        )
    return {"tokenizer": "pretrained", "tokenizer.path": str(folder)}


def _check_positions(start: ModelFolder | Path, cfg: DictConfig) -> None:
    """Refuse rows longer than the learned positions of a model."""
    if not isinstance(start, ModelFolder):
        return
    n, longest = start.family.positions(start.config), OmegaConf.select(cfg, "model.max_len")
    if n is not None and isinstance(longest, int) and longest > n:
        raise ConfigError(
            f"data.seq_len={longest} is beyond the {n} learned positions of {KEY}={start.path}; "
            f"use data.seq_len={n} or less"
        )


def _facts_of_run(folder: Path, typed: Sequence[str]) -> Sizes:
    """The options of a run's architecture and what differs in them from their files.

    Call within composer(). Those of the task are facts where the same task was asked for.
    """
    result = read(folder)
    if "task" not in result.choices:
        raise ConfigError(
            f"{KEY}={folder} cannot be started from: its result.json does not say which task it "
            "had; name the folder of a run of the command line, for example outputs/runs/NAME"
        )
    stored = stored_config(folder / "config.yaml")
    groups = {k: v for k, v in result.choices.items() if k.split("@")[0] in GROUPS}
    keys = {override_key(text) for text in typed}
    free = [f"{k}={v}" for k, v in groups.items() if k not in keys]
    _, options = composed_with_options([*free, *typed])
    same_task = options.get("task") == result.choices["task"]
    task = result.choices["task"]
    if same_task:
        groups |= {k: v for k, v in result.choices.items() if k == "pooling" and k in options}
    # Composed with the run's own task, so that each of its keys is there to compare with.
    cfg, _ = composed_with_options([*(f"{k}={v}" for k, v in groups.items()), f"task={task}"])
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    kept = (*GROUPS, *(OF_TASK if same_task else ()), *LOOSE)
    used = used_groups(cfg)  # another one that is named is refused, as without effect
    facts: Sizes = {k: v for k, v in groups.items() if k.split("@")[0] in used}
    for name in (name for name in kept if name in used or name in LOOSE):
        for key, then in _leaves(name, raw.get(name), stored.get(name)):
            if OmegaConf.select(cfg, key) != then:
                facts[key] = then
    return facts


def _leaves(key: str, node: Any, stored: Any) -> Iterator[tuple[str, Any]]:
    """(key, stored value) of what is written in a node itself: no other group, nothing of the data.

    node: with its interpolations as text.
    """
    if isinstance(node, dict):
        for name, below in node.items():
            if isinstance(stored, dict) and name in stored and not str(name).startswith("_"):
                yield from _leaves(f"{key}.{name}", below, stored[name])
    elif not isinstance(stored, dict) and not str(node).startswith("${data."):
        yield key, stored


def override_text(value: Any) -> str:
    """A value as Hydra reads it in an override."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value) if not isinstance(value, float) else repr(value)
    if isinstance(value, str):
        plain = value.replace("_", "").isalnum() and value.lower() not in ("true", "false", "null")
        return value if plain else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "[" + ",".join(map(override_text, value)) + "]"
