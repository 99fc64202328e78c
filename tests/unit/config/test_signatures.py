"""Signatures read from source text are those that Python sees."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from lightning_transformer.config.signatures import UnknownTarget, signature
from lightning_transformer.paths import CONF
from tests.helpers.short_runs import environment

TARGETS = sorted(
    {
        str(target)
        for path in CONF.glob("*/*.yaml")
        if (target := OmegaConf.load(path).get("_target_"))
    }
)


def seen(found: Any) -> dict[str, inspect.Parameter]:
    """The parameters that Python sees; those behind **shared are of the base class."""
    if not inspect.isclass(found):
        return dict(inspect.signature(found).parameters)
    parameters: dict[str, inspect.Parameter] = {}
    for cls in found.__mro__:
        if not cls.__module__.startswith("lightning_transformer"):
            break
        if "__init__" not in vars(cls):
            continue
        own = list(inspect.signature(cls.__init__).parameters.values())[1:]
        parameters = {p.name: p for p in own if p.kind != p.VAR_KEYWORD} | parameters
        if all(p.kind != p.VAR_KEYWORD for p in own):
            break
    return parameters


@pytest.mark.parametrize("target", TARGETS)
def test_every_option_on_disk_has_the_signature_that_python_sees(target):
    read, expected = signature(target), seen(get_object(target))
    assert read.name == target.rpartition(".")[2]
    assert not read.open_ended
    required = {name: p.default is p.empty for name, p in expected.items()}
    assert {p.name: p.required for p in read.parameters.values()} == required


MODULE = '''
from dataclasses import dataclass
from typing import ClassVar
from other import Elsewhere as Renamed
from unreadable_package import Foreign

class Plain:
    """No constructor."""

class Keyword:
    def __init__(self, a: int, b: "float" = 1.0, *, c: int | None = None, d, **more): ...

class Child(Keyword):
    def __init__(self, *, e: bool = True, c: str = "", **rest): ...

class Inherits(Child[int]):
    x: int = 3

class Distant(Foreign):
    """Its constructor cannot be read."""

class OfDistant(Foreign):
    def __init__(self, a: int, **more): ...

@dataclass(frozen=True)
class Data:
    a: int
    b: float = 0.5

@dataclass(frozen=True)
class MoreData(Data):
    kind: ClassVar[str] = "more"
    c: str = ""
    a: bool = True

@dataclass
class DataOfOther(Plain, Keyword):
    a: int

def function(x, /, y: str, z: int = 0, *args): ...
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "signature_example"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("class Top:\n    def __init__(self, t: int): ...\n")
    (folder / "deep" / "__init__.py").write_text("from signature_example.m import Keyword\n")
    (folder / "m.py").write_text(MODULE)
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "binary.py").write_bytes(b"\xff\xfe")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "signature_example"


@pytest.mark.parametrize(
    ("name", "parameters", "open_ended"),
    [
        ("m.Plain", {}, False),
        ("m.Keyword", {"a": "int", "b": "'float'", "c": "int | None", "d": ""}, True),
        ("m.Inherits", {"a": "int", "b": "'float'", "c": "str", "d": "", "e": "bool"}, True),
        ("m.Distant", {}, True),
        ("m.OfDistant", {"a": "int"}, True),
        ("m.Data", {"a": "int", "b": "float"}, False),
        ("m.MoreData", {"a": "bool", "b": "float", "c": "str"}, False),
        ("m.DataOfOther", {"a": "int"}, False),
        ("m.function", {"x": "", "y": "str", "z": "int"}, False),
        ("deep.Keyword", {"a": "int", "b": "'float'", "c": "int | None", "d": ""}, True),
        ("Top", {"t": "int"}, False),
    ],
)
def test_all_forms_of_definitions(package, name, parameters, open_ended):
    found = signature(f"{package}.{name}")
    assert {p.name: p.annotation for p in found.parameters.values()} == parameters
    assert found.open_ended is open_ended


def test_required_parameters(package):
    found = signature(f"{package}.m.Keyword").parameters
    assert [p.name for p in found.values() if p.required] == ["a", "d"]
    found = signature(f"{package}.m.Data").parameters
    assert [p.name for p in found.values() if p.required] == ["a"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_package.Class", "there is no package no_such_package"),
        ("signature_example.nope.Class", "there is no module signature_example.nope"),
        ("signature_example.m.Nope", "signature_example.m has no Nope"),
        ("signature_example.m.Renamed", "there is no package other"),
        ("signature_example.broken.f", "the source of signature_example.broken cannot be read"),
        ("signature_example.binary.f", "the source of signature_example.binary cannot be read"),
        ("os.system", "the source of os cannot be read"),
        ("sys.exit", "the source of sys cannot be read"),
        ("Class", "there is no package"),
        ("", "there is no package"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(package, target, words):
    with pytest.raises(UnknownTarget) as caught:
        signature(target)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reading_imports_nothing():
    code = (
        "import sys; from lightning_transformer.config.signatures import signature;"
        "s = signature('lightning_transformer.models.decoder_only.DecoderOnly');"
        "assert 'd_model' in s.parameters;"
        "print([m for m in sys.modules if m.startswith(('torch', 'lightning.', "
        "'lightning_transformer.models'))])"
    )
    call = [sys.executable, "-c", code]
    ran = subprocess.run(call, capture_output=True, text=True, check=True, env=environment())
    assert ran.stdout.strip() == "[]"
