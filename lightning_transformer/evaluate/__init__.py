"""Trained runs measured again: on any split, other text, longer rows, in another precision.

The package is also a function, `lightning_transformer.evaluate(run)`: see api/evaluate.py. An
import of any module in here sets the attribute `evaluate` to this module, so it is made callable.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(
        self,
        run: Path | str,
        overrides: Sequence[str] = (),
        *,
        split: str = "test",
        checkpoint: str = "best",
        trust: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The metrics of a run; arguments as in api/evaluate.py."""
        found = import_module("lightning_transformer.api.evaluate").evaluate(
            run, overrides, split=split, checkpoint=checkpoint, trust=trust
        )
        assert isinstance(found, dict)
        return found


sys.modules[__name__].__class__ = _CallableModule
