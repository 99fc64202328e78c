"""`import lightning_transformer as lt`: what it offers, and that it costs nothing to import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lightning_transformer as lt

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_the_import_is_light() -> None:
    heavy = {"torch", "lightning", "hydra", "numpy", "omegaconf", "rich"}
    code = f"import sys, lightning_transformer as lt; print({heavy} & sys.modules.keys(), dir(lt))"
    assert run_python(code).startswith("set() [")


def test_every_public_name_is_there_and_listed() -> None:
    assert set(lt.__all__) <= set(dir(lt))
    for name in lt.__all__:
        assert getattr(lt, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        getattr(lt, "trian")  # noqa: B009


def test_the_version_is_a_literal_that_the_build_can_read() -> None:
    source = (ROOT / "lightning_transformer" / "__init__.py").read_text(encoding="utf-8")
    assert re.search(rf'^__version__ = "{re.escape(lt.__version__)}"$', source, re.MULTILINE)


@pytest.mark.parametrize(
    "before",
    [
        "import lightning_transformer.compare.report.write, lightning_transformer.evaluate.table",
        *(pytest.param(o, marks=pytest.mark.slow) for o in ("", "lt.compare", "lt.train")),
    ],
)
def test_names_stay_functions_whatever_was_imported(before: str) -> None:
    ask = "print(callable(lt.compare), callable(lt.train), callable(lt.evaluate))"
    code = f"import lightning_transformer as lt\n{before}\n{ask}"
    assert run_python(code) == "True True True\n"
