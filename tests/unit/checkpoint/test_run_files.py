from __future__ import annotations

import json
import os

import pytest
import torch
import yaml

from lightning_transformer.checkpoint.run_files import RunFiles, read_state
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from tests.helpers.short_runs import leave_checkpoint

CONFIG = {"seed": 1, "norm": {"_target_": "x.Y", "eps": 1e-05, "path": "é: [1]"}, "l": [1, None]}


def test_what_is_saved_is_loaded(tmp_path):
    files = RunFiles(tmp_path)
    files.save(CONFIG, ByteVocabulary(), ["a", "é"])
    config, vocabulary, labels = files.load()
    assert config == CONFIG
    assert config == yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert labels == ["a", "é"]
    assert vocabulary.size == ByteVocabulary().size
    assert list(vocabulary.encode("né")) == list(ByteVocabulary().encode("né"))
    assert sorted(os.listdir(tmp_path)) == ["config.yaml", "labels.json", "tokenizer.json"]


def test_a_reference_in_a_value_stays_text(tmp_path):
    # A saved configuration is data: nothing in it may be looked up, least of all the environment.
    files = RunFiles(tmp_path)
    (tmp_path / "config.yaml").write_text("a: ${oc.env:HOME}\n")
    assert json.loads(json.dumps(dict(files.config().items_ex(resolve=False)))) == {
        "a": "${oc.env:HOME}"
    }


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config\.yaml$"):
        RunFiles(tmp_path).load()


def test_best_and_last_are_found(tmp_path):
    files = RunFiles(tmp_path)
    for name in ("best", "last"):
        with pytest.raises(ValueError, match=rf"has no checkpoint {name}$"):
            files.load_checkpoint(name)
    leave_checkpoint(tmp_path, {"step": 3, "w": torch.ones(2)}, step=3)
    leave_checkpoint(tmp_path, {"step": 4}, step=4, validated=False)
    assert files.load_checkpoint("best")["step"] == 3
    assert files.load_checkpoint("last")["step"] == 4


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02]", "cut", "evil"])
def test_damaged_and_hostile_checkpoints_are_refused_in_one_line(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "state.ckpt"
    torch.save({"a": Evil()} if content == "evil" else {"w": torch.ones(1000)}, path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.ckpt cannot be read \(.+\)$") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()
