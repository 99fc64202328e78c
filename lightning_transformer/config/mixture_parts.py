"""The parts of a mixture as they are written: a source by name, its options, and its share."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.signatures import signature
from lightning_transformer.config.validate import nearest
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.trusted_targets import option_folders

SHARES = {"weight": "float | None", "tokens": "int | None", "max_epochs": "float | None"}
# Options that all parts have from the mixture.
OF_ALL = (
    "tokenizer",
    "packing",
    "seq_len",
    "batch_size",
    "eval_batch_size",
    "num_workers",
    "bucket_steps",
    "cache_gb",
    "cleaning",
)
CHOSEN = ("tokenizer", "packing", "cleaning")  # of these, by groups of the same name
MIXTURE = "mixture"  # the option itself, which is no part
NAME = re.compile(r"[A-Za-z][\w-]*")
EXAMPLE = "'data.parts={books: {data: text, path: book.txt, weight: 3}, web: {..}}'"


@dataclass(frozen=True)
class PartConfig:
    """A part of a mixture: the class of its source, the options of it, and its share.

    target: dotted path. options: those that were given. weight, tokens, max_epochs: see `Mixture`.
    """

    source: str
    target: str
    options: dict[str, Any]
    weight: float | None = None
    tokens: int | None = None
    max_epochs: float | None = None


def source_files() -> dict[str, Path]:
    """The option files of sources that can be part of a mixture, of plug-ins too, by name."""
    files = (file for folder in option_folders() for file in folder.glob("data/*.yaml"))
    return {f.stem: f for f in sorted(files, key=lambda file: file.stem) if f.stem != MIXTURE}


def read_parts(parts: Any, key: str = "data.parts") -> dict[str, PartConfig]:
    """The parts of a mixture, by name in sorted order.

    parts: name to {data: option of that group, its options, weight, tokens, max_epochs}.
    Raises ConfigError, in one line, for what is no such thing, and for unknown sources and keys.
    """
    if not isinstance(parts, Mapping) or not parts:
        raise ConfigError(f"{key}={parts} must name the sources that are mixed, as in {EXAMPLE}")
    files = source_files()
    return {name: _read_part(parts[name], name, f"{key}.{name}", files) for name in sorted(parts)}


def _read_part(part: Any, name: str, key: str, files: Mapping[str, Path]) -> PartConfig:
    if not NAME.fullmatch(name):
        raise ConfigError(f"{key}: a part is named by letters, digits, _ and -, such as books")
    if not isinstance(part, Mapping):
        raise ConfigError(f"{key}={part} must be a source with its options, as in {EXAMPLE}")
    source = part.get("data")
    if source is None:
        raise ConfigError(f"{key}.data has no value; choose from {', '.join(files)}")
    if source not in files:
        raise ConfigError(
            f"unknown source {key}.data={source}{nearest(str(source), files)} "
            f"(choose from {', '.join(files)})"
        )
    content = OmegaConf.to_container(OmegaConf.load(files[source]), resolve=False)
    assert isinstance(content, dict)
    own = [str(k) for k in content if k not in (*OF_ALL, "defaults", "_target_")]
    known = ["data", *SHARES, *own]
    for option in map(str, part):
        if option in OF_ALL:
            raise ConfigError(
                f"{key}.{option}: all parts have that of the mixture; use "
                f"{f'{option}=' if option in CHOSEN else f'data.{option}'}, or leave it out"
            )
        if option not in known:
            raise ConfigError(
                f"unknown key {key}.{option}{nearest(option, known)} ({source} takes "
                f"{', '.join(known[1:])})"
            )
    for option in own:
        if content[option] == "???" and part.get(option) is None:
            raise ConfigError(f"{key}.{option} has no value; {source} needs it")
    given = {k: part[k] for k in own if k in part}
    # A plug-in's file may have other values than its class; ours have the same.
    of_file = {k: content[k] for k in own if content[k] != "???" and "${" not in str(content[k])}
    shares = {k: part[k] for k in SHARES if part.get(k) is not None}
    return PartConfig(source, str(content["_target_"]), of_file | given, **shares)


def part_nodes(parts: Any, key: str) -> Iterator[tuple[str, DictConfig, dict[str, str]]]:
    """Each part as (key, node, annotations): what there is to be checked of its values."""
    content = OmegaConf.to_container(parts, resolve=True) if OmegaConf.is_config(parts) else parts
    for name, part in read_parts(content, key).items():
        takes = signature(part.target).parameters
        kinds = {option: takes[option].annotation for option in part.options if option in takes}
        shares = {option: getattr(part, option) for option in SHARES}
        yield f"{key}.{name}", OmegaConf.create(part.options | shares), kinds | SHARES
