"""The parts of a mixture as typed: what is understood, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lightning_transformer.config.compose import composed, composer, preflight, register
from lightning_transformer.config.mixture_parts import (
    SHARES,
    PartConfig,
    read_parts,
    source_files,
)
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF

TYPED = (
    "data=mixture",
    "data.parts={a: {data: text, path: a.txt, weight: 3}, b: {data: corpus, path: b.csv}}",
)


@pytest.fixture(autouse=True)
def plug_ins_found() -> None:
    register()


def test_every_source_on_disk_can_be_part_but_the_mixture() -> None:
    assert set(source_files()) == {p.stem for p in (CONF / "data").glob("*.yaml")} - {"mixture"}


def test_a_part_has_the_options_of_its_source() -> None:
    parts = {"b": {"data": "text", "path": "x", "weight": 2}, "a": {"data": "pydocs"}}
    found = read_parts(parts)
    assert list(found) == ["a", "b"]
    assert found["a"] == PartConfig(
        "pydocs", "lightning_transformer.data.sources.pydocs.PyDocs", {}
    )
    assert (found["b"].weight, found["b"].options["path"]) == (2, "x")
    assert found["b"].options["documents"] == "file"


def test_sources_of_plug_ins_keep_the_values_of_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("_target_: mine.Data\nsize: 7\nlr: 1e-3\n")
    place = "lightning_transformer.config.mixture_parts.option_folders"
    monkeypatch.setattr(place, lambda: [CONF, tmp_path])
    assert read_parts({"a": {"data": "mine", "lr": 0.5}})["a"].options == {"size": 7, "lr": 0.5}
    assert "did you mean mine?" in refused({"a": {"data": "mind"}})


def refused(parts: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read_parts(parts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "data.parts={} must name the sources"),
        ("book.txt", "data.parts=book.txt must name the sources"),
        ({"a": "book.txt"}, "data.parts.a=book.txt must be a source with its options"),
        ({"a": {"path": "x"}}, "data.parts.a.data has no value; choose from addition, "),
        ({"a": {"data": "txt"}}, "data.parts.a.data=txt; did you mean text?"),
        ({"a": {"data": "mixture"}}, "unknown source data.parts.a.data=mixture"),
        ({"a": {"data": "text", "path": "x", "wieght": 1}}, "did you mean weight?"),
        ({"a": {"data": "text", "pth": "x"}}, "key data.parts.a.pth; did you mean path?"),
        ({"a": {"data": "text"}}, "data.parts.a.path has no value; text needs it"),
        ({"a": {"data": "text", "path": "x", "seq_len": 4}}, "use data.seq_len, or leave"),
        ({"a.b": {"data": "pydocs"}}, "data.parts.a.b: a part is named by letters"),
    ],
)
def test_what_is_no_part_is_refused(parts: object, line: str) -> None:
    assert line in refused(parts)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["data.parts.a.weigt=2"], "unknown key data.parts.a.weigt; did you mean data.parts.a.we"),
        (["data.parts.c.weight=2"], "did you mean data.parts.a.weight?; a new one below data.pa"),
        (["data.parts.b.weight=2"], "; a new one below data.parts.b is +data.parts.b.weight"),
        (["+data.parts.a.tokens=many"], "data.parts.a.tokens=many must be a whole number or null"),
        (["+data.parts.a.documents=3"], "data.parts.a.documents=3 must be text"),
        (["+data.parts.b.wieght=2"], "unknown key data.parts.b.wieght; did you mean weight?"),
    ],
)
def test_the_command_line_refuses_what_is_no_key_or_type(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preflight([*TYPED, *typed])
    assert line in str(caught.value)


def test_values_can_be_typed_over_and_swept() -> None:
    assert preflight([*TYPED, "data.parts.a.weight=5", "+data.parts.b.weight=1"]) == 1
    assert preflight([*TYPED, "data.parts.a.weight=1,2,4", "+data.parts.b.weight=1"]) == 3


def test_parts_can_be_typed_key_by_key() -> None:
    keys = ("data=text", "path=a.txt", "weight=3")
    typed = ["data=mixture", *(f"+data.parts.a.{key}" for key in keys), "data.parts.a.weight=5"]
    assert preflight(typed) == 1
    with composer():
        parts = OmegaConf.to_container(composed(typed).data.parts)
    assert parts == {"a": {"data": "text", "path": "a.txt", "weight": 5}}
    with pytest.raises(ConfigError, match=r"a new one below data.parts is \+data.parts.a.data"):
        preflight(["data=mixture", "data.parts.a.data=text"])


def test_no_source_has_an_option_with_the_name_of_a_parts_own_key() -> None:
    for name, file in source_files().items():
        assert {"data", *SHARES}.isdisjoint(OmegaConf.load(file)), name
