"""The list of checks in the package's docstring names what there is."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from lightning_transformer.training import preflight, session

ROWS = re.findall(r"^ +(\w[\w.]+)\.(\w+)  ", str(preflight.__doc__), re.MULTILINE)


def test_each_check_of_the_list_exists():
    assert len(ROWS) > 12
    for module, name in ROWS:
        assert callable(getattr(import_module(f"lightning_transformer.{module}"), name))


def test_the_list_has_the_order_of_prepare():
    """And of what it calls, which is indented in the list."""
    source = inspect.getsource(session)
    prepare = inspect.getsource(session.prepare)
    called = {
        "check_labels": "_read_data(",
        "check_batch_size": "_read_data(",
        "check_activations": " _model(",
        "TrainerOptions": "_trainer(",
    }
    called["check_space"] = "_check_disk("
    top = re.findall(r"^    (\w[\w.]+)\.(\w+)  ", str(preflight.__doc__), re.MULTILINE)[5:]
    places = [prepare.index(called.get(name, f"{name}(")) for _, name in top]
    assert places == sorted(places)
    assert all(f"{name}" in source for _, name in top)


def test_every_check_of_the_folder_is_in_the_list():
    listed = {name for _, name in ROWS}
    for part in ("build", "data", "machine", "memory", "precision"):
        module = import_module(f"{preflight.__name__}.{part}")
        own = {
            n
            for n, f in vars(module).items()
            if inspect.isfunction(f) and f.__module__ == module.__name__
        }
        assert {name for name in own if name.startswith("check_")} - {"check_run"} <= listed
