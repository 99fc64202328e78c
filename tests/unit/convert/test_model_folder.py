"""Folders in the format of Hugging Face: with an index, bare, and damaged in many ways."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_transformer.convert.model_folder import ModelFolder
from tests.helpers.model_folders import edit, model_of, save


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model_of("llama"), tmp_path_factory.mktemp("model") / "llama")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "llama"))


def test_parts_with_an_index_are_one_model(good: Path, tmp_path: Path) -> None:
    model_of("llama").save_pretrained(tmp_path, max_shard_size="10KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    parts, whole = ModelFolder(tmp_path), ModelFolder(good)
    assert len(parts.files) > 1
    assert parts.shapes == whole.shapes
    assert all(torch.equal(w, whole.weights()[n]) for n, w in parts.weights().items())
    parts.files[1].unlink()
    with pytest.raises(ValueError, match=r"model-00002-of-.* is missing, which model.safetensors"):
        ModelFolder(tmp_path).shapes  # noqa: B018


def test_an_index_cannot_lead_out_of_the_folder(folder: Path) -> None:
    index = {"weight_map": {"a": "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder.parent / "other.safetensors").touch()
    with pytest.raises(ValueError, match=r"is missing"):
        ModelFolder(folder).shapes  # noqa: B018


def test_the_digest_is_of_the_weights_and_the_configuration(folder: Path, good: Path) -> None:
    assert ModelFolder(folder).digest() == ModelFolder(good).digest()
    edit(folder, rms_norm_eps=1e-4)
    assert ModelFolder(folder).digest() != ModelFolder(good).digest()


def test_a_pickle_alone_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no model.safetensors; save the model with"):
        ModelFolder(folder).shapes  # noqa: B018
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(ValueError, match=r"has only pytorch_model.bin, which could run code"):
        ModelFolder(folder).shapes  # noqa: B018


def test_a_cut_file_and_a_damaged_header_are_found(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-5])
    with pytest.raises(ValueError, match=r"is damaged .* copy it again"):
        ModelFolder(folder).shapes  # noqa: B018
    file.write_bytes(content[:8] + b"x" + content[9:])
    with pytest.raises(ValueError, match=r"is damaged"):
        ModelFolder(folder).shapes  # noqa: B018
    file.write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match=r"is damaged .its header is too long"):
        ModelFolder(folder).shapes  # noqa: B018


def test_unknown_families_and_broken_configurations(folder: Path) -> None:
    edit(folder, model_type="xlnet")
    with pytest.raises(ValueError, match=r"model_type=xlnet is no family .* from bart, bert"):
        ModelFolder(folder).sizes()
    edit(folder, model_type="../../os")
    with pytest.raises(ValueError, match=r"is no family"):
        ModelFolder(folder).sizes()
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"must hold a JSON object"):
        ModelFolder(folder).sizes()
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json cannot be read"):
        ModelFolder(folder).sizes()


def test_facts_are_read_without_torch(good: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from lightning_transformer.convert.model_folder import ModelFolder\n"
        "from lightning_transformer.convert.init_from import started_arguments\n"
        f"print(len(ModelFolder(Path({str(good)!r})).sizes()))\n"
        f"assert started_arguments(['init_from={good}'])[0] == 'preset=llama3'\n"
        "assert not {'torch', 'transformers', 'lightning'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
