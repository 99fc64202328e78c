"""Which options and pairs of options are refused, and what to choose instead.

They are known by tests/contracts/conformance/refused.json, which `make docs` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from lightning_transformer.paths import CONF

REFUSED = Path(__file__).parents[1] / "contracts" / "conformance" / "refused.json"


@cache
def refused() -> dict[str, dict[str, str]]:
    """Per model: "group=option" or "group=option group=option" -> what is said; may be empty."""
    if not REFUSED.exists():
        return {}
    content = json.loads(REFUSED.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def parsed(text: str) -> dict[str, str]:
    """What "group=option group=option" chooses."""
    return dict(part.split("=") for part in text.split())  # type: ignore[misc]


def is_refused(model: str, **choices: str) -> bool:
    """Whether these options, one of them or two, do not go together in a model."""
    said = [parsed(key).items() for key in refused().get(model, {})]
    return any(items <= choices.items() for items in said)


@cache
def refused_with(group: str, option: str) -> frozenset[tuple[str, str]]:
    """The options of other groups that are refused beside this one, in some model."""
    pairs = [parsed(key) for found in refused().values() for key in found]
    with_it = [pair for pair in pairs if len(pair) == 2 and pair.get(group) == option]
    return frozenset(other for pair in with_it for other in pair.items() if other[0] != group)


def companions(cfg: Mapping[str, Mapping[str, object]], group: str, option: str) -> dict[str, str]:
    """What to exchange in a configuration, by group, so that it takes this option."""
    wrong = refused_with(group, option)
    instead = {}
    for other, name in wrong:
        if cfg[other]["_target_"] == OmegaConf.load(CONF / other / f"{name}.yaml")["_target_"]:
            names = sorted(path.stem for path in (CONF / other).glob("*.yaml"))
            instead[other] = next(name for name in names if (other, name) not in wrong)
    return instead
