"""What option files offer is read as YAML: only nodes count, however they are written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lightning_transformer.runs import trusted_targets
from lightning_transformer.runs.trusted_targets import check_targets, offered

OWN = "lightning_transformer.nn.norm.rmsnorm.RMSNorm"


@pytest.fixture
def option_file(tmp_path, monkeypatch):
    """Writes the only option file that there is, norm/mine.yaml."""
    file = tmp_path / "norm" / "mine.yaml"
    file.parent.mkdir()
    monkeypatch.setattr(trusted_targets, "option_folders", lambda: [tmp_path])
    trusted_targets._all_offered.cache_clear()
    yield file.write_text
    trusted_targets._all_offered.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        f"_target_: {OWN}\n",
        f"'_target_': '{OWN}' # a comment\n",
        f'{{"_target_": "{OWN}", "eps": 1}}\n',
        f"_target_:\n  {OWN}\n",
        f"# @package _global_\nnorm: {{_target_: {OWN}}}\n",
        f"# @package _global_\nmodel:\n    norm:\n        eps: 1\n        _target_: {OWN}\n",
    ],
)
def test_a_target_is_found_however_it_is_written(option_file, text):
    option_file(text)
    assert offered("norm") == {OWN}
    check_targets({"_target_": OWN}, "model.norm")


@pytest.mark.parametrize(
    "text",
    [
        "_target_: pkg.Fine\ntext: |\n  # as in\n  _target_: os.system\n",
        "_target_: pkg.Fine\ntext: 'first line\n\n  _target_: os.system'\n",
        "# _target_: os.system\n_target_: pkg.Fine # _target_: os.system\n",
        "_target_: pkg.Fine\nlist:\n  - _target_: os.system\n",
        "_target_: pkg.Fine\nother: {_target_: os.system}\n",
        "_target_: pkg.Fine\nother:\n - x\n -  norm: {_target_: os.system}\n",
        "_target_: pkg.Fine\nother: {_target_: {_target_: os.system}}\n",
    ],
)
def test_what_only_looks_like_a_target_of_the_key_is_not_offered(option_file, text):
    option_file(text)
    assert offered("norm") == {"pkg.Fine"}
    with pytest.raises(ValueError, match=r"model\.norm\._target_=os\.system is no option of norm"):
        check_targets({"_target_": "os.system"}, "model.norm")


def test_a_part_of_another_option_offers_the_options_of_its_group(option_file):
    option_file(
        f"defaults:\n  - /norm@first: mine\n  - other\n  - /x@_global_.y: z\n_target_: {OWN}"
    )
    assert offered("first") == {OWN}
    assert offered("y") == offered("_global_.y") == set()


def test_tags_of_an_option_file_build_nothing(option_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "canary", None)
    option_file(f"!!python/object/apply:canary.sing\n_target_: {OWN}\nx: !!python/name:os.system\n")
    assert offered("norm") == {OWN}


@pytest.mark.parametrize("text", ["_target_: [", "\t_target_: x\n", "a: b: c\n", "a: \x00\n"])
def test_a_broken_option_file_is_named_in_one_line(option_file, text):
    option_file(text)
    with pytest.raises(ValueError, match=r"mine\.yaml is not valid YAML \(") as caught:
        offered("norm")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n", "text\n", "defaults: null\n", "defaults: text\n"])
def test_a_file_without_targets_offers_nothing(option_file, text):
    option_file(text)
    assert offered("norm") == set()


def test_the_folders_are_read_without_importing_what_they_name(option_file, monkeypatch):
    for name in ("torch", "lightning", "omegaconf", "hydra"):
        monkeypatch.setitem(sys.modules, name, None)
    option_file(Path(trusted_targets.CONF / "norm" / "rmsnorm.yaml").read_text(encoding="utf-8"))
    assert offered("norm") == {OWN}
