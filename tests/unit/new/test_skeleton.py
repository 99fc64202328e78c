"""Every group has a skeleton; names that cannot be are refused and nothing is overwritten."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from lightning_transformer.new import __main__ as command
from lightning_transformer.new.skeleton import START, NewFile, skeleton
from lightning_transformer.paths import CONF
from tests.helpers.variants import GROUPS, ROOT, target

# Of these a YAML file is all: its values are those of other components.
OF_VALUES = {group for group in GROUPS if not target(group, START[group])}


def test_every_group_has_a_start() -> None:
    assert sorted(START) == GROUPS


@pytest.mark.parametrize("group", GROUPS)
def test_the_files_are_where_a_variant_has_them(group: str) -> None:
    files = {file.path: file.text for file in skeleton(group, "my_own")}
    assert CONF / group / "my_own.yaml" in files
    if group in OF_VALUES:
        assert len(files) == 1
        return
    module, config, test = files
    assert test == ROOT / "tests/unit" / module.relative_to(
        ROOT / "lightning_transformer"
    ).parent / ("test_my_own.py")
    content = yaml.safe_load(files[config])
    path, _, built = content["_target_"].rpartition(".")
    assert path == ".".join(module.relative_to(ROOT).with_suffix("").parts)
    defined = [getattr(node, "name", "") for node in ast.parse(files[module]).body]
    assert built in defined
    assert ("MyOwn" in defined) != ("my_own" in defined)
    ast.parse(files[test])
    assert path in files[test] or f"{group}=my_own" in files[test]


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_of_the_copied_option_is_defined_twice(group: str) -> None:
    for file in skeleton(group, "my_own"):
        if file.path.suffix == ".py" and not file.path.name.startswith("test_"):
            other = file.path.with_name(f"{START[group]}.py").read_text()
            names = [
                {
                    n.name
                    for n in ast.parse(text).body
                    if isinstance(n, ast.ClassDef | ast.FunctionDef)
                }
                for text in (file.text, other)
            ]
            assert not {name for name in names[0] & names[1] if not name.startswith("_")}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["nrm", "my_own"], "unknown group nrm; did you mean norm? (groups: activation, "),
        (["norm", "1st"], "name=1st must be a Python identifier"),
        (["norm", "my-own"], "name=my-own must be a Python identifier"),
        (["norm", "../own"], "name=../own must be a Python identifier"),
        (["norm", "lambda"], "name=lambda must be a Python identifier"),
        (["norm", "rmsnorm"], "norm=rmsnorm: lightning_transformer/nn/norm/rmsnorm.py exists"),
        (["preset", "gpt2"], "preset=gpt2: conf/preset/gpt2.yaml exists already"),
        (["norm", "linear"], "norm=linear: the class Linear exists already"),
    ],
)
def test_wrong_input_gets_one_line(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*typed, "--write"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {said}")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_it_prints_the_files_and_writes_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["norm", "my_own"]) == 0
    shown = capsys.readouterr().out
    for file in skeleton("norm", "my_own"):
        assert f"# {file.path.relative_to(ROOT)}\n{file.text}" in shown
        assert not file.path.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError):
        command._write([NewFile(tmp_path / "there", "other")])
    assert (tmp_path / "there").read_text() == "mine"
    command._write([NewFile(tmp_path / "new" / "file", "text")])
    assert (tmp_path / "new" / "file").read_text() == "text"
