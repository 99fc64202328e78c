"""Roles of names against hand-written sources."""

from __future__ import annotations

import ast
import re

import pytest

from lightning_transformer.data.sources._name_roles import ROLES, roles


def found(source: str) -> list[list[tuple[str, str]]]:
    """(name, role) of each unit, the name read back from the source at the position given."""
    units = []
    for start, end, named in roles(source, ast.parse(source)):
        unit = source[start:end]
        units.append([(re.match(r"\w+", unit[at:]).group(), role) for at, role in named])
    return units


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, *b, c=1, **d): pass", "f:function a:parameter b:parameter c:parameter "
         "d:parameter"),
        ("def f(a): return a + b", "f:function a:parameter a:parameter b:variable"),
        ("def f(x):\n    a = x.y.z\n", "f:function x:parameter a:variable x:parameter "
         "y:attribute z:attribute"),
        ("def f():\n    g(h, k=len)\n", "f:function g:call h:variable k:keyword_argument "
         "len:builtin"),
        ("def f():\n    len(print)\n", "f:function len:builtin print:builtin"),
        ("def f(len):\n    len()\n", "f:function len:parameter len:parameter"),
        ("def f():\n    list = 1\n", "f:function list:variable"),
        ("def f():\n    x.g().h\n", "f:function x:variable g:call h:attribute"),
        ("import os.path, re as r\ndef f():\n    os.getcwd(r, re)\n",
         "f:function os:module getcwd:call r:module re:variable"),
        ("from os import path\ndef f(): path", "f:function path:variable"),
        ("def f(os):\n    import os\n    os\n", "f:function os:parameter os:parameter"),
        ("async  def f(a: int) -> str:\n    await g()\n",
         "f:function a:parameter int:builtin str:builtin g:call"),
        ("def f():\n    # a comment\n    'a string'\n    return f'{a}'\n", "f:function"),
        ("def f():\n    global x\n    try: pass\n    except E as e: e\n",
         "f:function E:variable e:variable"),
        ("def f(a):\n    return lambda b: a(b, c)\n",
         "f:function a:parameter b:parameter a:parameter b:parameter c:variable"),
        ("def f():\n    g = lambda b: b\n    b\n",
         "f:function g:variable b:parameter b:parameter b:variable"),
        ("def f():\n    def g(a): return a\n    return a\n",
         "f:function g:function a:parameter a:parameter a:variable"),
        ("def f(é, ß):\n    'ñ'; é.ü(ß)\n",
         "f:function é:parameter ß:parameter é:parameter ü:call ß:parameter"),
        ("class A(B, m=C):\n    x: int = y\n",
         "A:class B:variable m:keyword_argument C:variable x:variable int:builtin y:variable"),
        ("@d.e(1)\nclass A: pass", "d:variable e:call A:class"),
        ("def f(a=b, *, c: d): pass", "f:function a:parameter b:variable c:parameter d:variable"),
        ("def f(a): return [a for a in c if a.b]",
         "f:function a:parameter a:parameter a:parameter c:variable a:parameter b:attribute"),
        ("def f():\n    match x:\n        case A(y): y\n",
         "f:function x:variable A:variable y:variable"),
    ],
)  # fmt: skip
def test_roles_by_hand(source, expected):
    (unit,) = found(source)
    assert unit == [tuple(part.split(":")) for part in expected.split()]
    assert {role for _, role in unit} <= set(ROLES)


SOURCE = '''"""Module."""
import os
X = os.sep


@deco
class A:
    """Doc."""

    x = 1

    @staticmethod
    def m():
        return 1

    y = 2

    async def n(self):
        pass


def f(a,
      b):
    return a
'''


def test_units_are_functions_methods_and_heads_of_classes():
    units = [SOURCE[start:end] for start, end, _ in roles(SOURCE, ast.parse(SOURCE))]
    assert [unit.strip().split("\n")[0] for unit in units] == [
        "@deco",
        "@staticmethod",
        "async def n(self):",
        "def f(a,",
    ]
    assert units[0].endswith("    x = 1\n\n")
    assert units[1] == "    @staticmethod\n    def m():\n        return 1\n"
    assert units[3] == "def f(a,\n      b):\n    return a\n"


def test_names_of_a_unit_are_inside_it():
    assert [len(unit) for unit in found(SOURCE)] == [3, 2, 2, 4]


def test_a_source_without_a_last_newline():
    source = "def f():\n    return x"
    ((start, end, named),) = roles(source, ast.parse(source))
    assert source[start:end] == source
    assert named == [(4, "function"), (20, "variable")]


def test_folded_identifiers_are_skipped():
    # The parser reads the ligature as "fi", so the position of the name cannot be checked.
    assert found("def g():\n    ﬁ + x\n") == [[("g", "function"), ("x", "variable")]]
