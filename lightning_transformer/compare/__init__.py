"""From a sweep to an answer: what differs, by how much, how sure that is.

The package is also a function, `lightning_transformer.compare(folder)`: see api/compare.py. Its
name is that of the package, and an import of any module in here sets the package's attribute to
this module; so the module itself is made callable.
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
    ) -> Any:
        """The report of all runs in the folders; arguments as in api/compare.py."""
        compare = import_module("lightning_transformer.api.compare").compare
        return compare(*folders, by=by, metric=metric, baseline=baseline)


sys.modules[__name__].__class__ = _CallableModule
