"""Compare runs: what differs, by how much, and how certain that is.

The package is also a function, `lightning_transformer.compare(folder)`: see api/compare.py. An
import of any module in here sets the attribute `compare` to this module, so it is made callable.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(
        self,
        *folders: Path | str,
        by: tuple[str, ...] = (),
        metric: str | None = None,
        baseline: str | None = None,
        better: str | None = None,
        force: bool = False,
    ) -> Any:
        """The report of all runs in the folders; arguments as in api/compare.py."""
        compare = import_module("lightning_transformer.api.compare").compare
        return compare(
            *folders, by=by, metric=metric, baseline=baseline, better=better, force=force
        )


sys.modules[__name__].__class__ = _CallableModule
