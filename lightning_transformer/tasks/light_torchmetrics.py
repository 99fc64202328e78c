"""torchmetrics without what it loads for metrics that no run has; import this before Lightning.

For BERTScore and for plots it loads transformers and matplotlib where they happen to be installed,
and scipy.signal to give an old name back to a package for speech: near two seconds of CPU time at
each start, of five and a half. While it is imported here, all three count as absent. They stay
importable as such; but metrics of torchmetrics that need the first two say from then on that they
are missing, unless torchmetrics was imported before this package trains.
"""

import re
import sys
from importlib import import_module
from typing import Any
from unittest.mock import patch

from lightning_utilities.core import imports
from lightning_utilities.core.imports import RequirementCache

LEFT_OUT = ("transformers", "matplotlib", "scipy")
_is_there = RequirementCache.__bool__
_package_is_there = imports.package_available


def _is_wanted(requirement: Any) -> bool:
    name = re.match(r"[\w-]*", requirement.requirement or "")
    if name is not None and name[0] in LEFT_OUT:
        requirement.available = False  # kept, as names that need it are never defined
        requirement.message = f"{name[0]} is left out: torchmetrics was loaded without it"
    return _is_there(requirement)


def _package_is_wanted(name: str) -> bool:
    return name not in LEFT_OUT and _package_is_there(name)


if "torchmetrics" not in sys.modules:
    with (
        patch.object(RequirementCache, "__bool__", _is_wanted),
        patch.object(imports, "package_available", _package_is_wanted),
    ):
        import_module("torchmetrics")
