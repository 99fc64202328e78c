"""The package `compare` is a function as well, whatever was imported before."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

from tests.unit.compare.report.made_runs import made_sweep


def test_the_module_is_called_with_the_arguments_of_the_function(tmp_path: Path) -> None:
    package = import_module("lightning_transformer.compare")
    function = import_module("lightning_transformer.api.compare").compare
    made_sweep(tmp_path, {"rmsnorm": 2.0, "none": 2.5}, 2)
    for options in ({}, {"baseline": "norm=none", "metric": "test/loss", "force": True}):
        assert package(tmp_path, **options) == function(tmp_path, **options)
    of_package, of_function = map(inspect.signature, (package, function))
    defaults = [{k: p.default for k, p in s.parameters.items()} for s in (of_package, of_function)]
    assert defaults[0] == defaults[1]
