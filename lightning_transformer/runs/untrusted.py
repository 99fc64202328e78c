"""Reading the files of a run folder, which may come from anywhere: plain values only."""

import json
import zipfile
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

MAX_BYTES = 4_000_000  # of a configuration; real ones have a few kB
BROKEN = (ValueError, RecursionError, AssertionError)  # what the readers raise for odd bytes


def stored_config(path: Path) -> dict[str, Any]:
    """The configuration in a run folder as plain dicts and lists; interpolations stay text.

    Raises ValueError in one line for a file that is missing, large, no YAML, or repeats parts of
    itself by reference, which can make a small file fill the memory.
    """
    if not path.is_file():
        raise ValueError(f"{path.parent} is not a run folder: it has no {path.name}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than any configuration ({MAX_BYTES // 10**6} MB)")
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("it refers to parts of itself, which no run writes")
        # Not yaml's own: OmegaConf wrote it, and reads numbers such as 1e-5 by other rules.
        content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except (yaml.YAMLError, OmegaConfBaseException, *BROKEN) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not a configuration that a run has written: {reason}"
        ) from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{path} is not a configuration that a run has written: no keys")
    return {str(key): value for key, value in content.items()}


def stored_labels(path: Path) -> list[str]:
    """The names of classes or tags in a run folder; ValueError in one line for anything else."""
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{path} must hold a list of texts, such as []")
    return labels


def check_archive(path: Path) -> None:
    """Refuse a checkpoint file that would be larger in memory than it is on the disk.

    torch stores without compression; a file that is compressed was not written by it, and may
    unfold to any size. Raises ValueError in one line.
    """
    if not zipfile.is_zipfile(path):
        return  # damaged, or torch's older format, which has nothing to unfold
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    packed = [part.filename for part in parts if part.compress_type != zipfile.ZIP_STORED]
    if packed or sum(part.file_size for part in parts) > path.stat().st_size:
        what = f"{packed[0]} in it is compressed" if packed else "its parts overlap"
        raise ValueError(f"{path} cannot be read ({what}, which no checkpoint of torch is)")
