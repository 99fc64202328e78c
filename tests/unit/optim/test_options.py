"""The option files: same keys and defaults as the code, and they build what they name."""

import inspect
from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from lightning_transformer.optim.schedule.base import Schedule

CONF = Path(__file__).parents[3] / "conf"
FILES = sorted((CONF / "optimizer").glob("*.yaml")) + sorted((CONF / "schedule").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}={file.stem}")
def test_an_option_file_lists_the_signature_and_builds(file):
    options = OmegaConf.load(file)
    module = options._target_.rsplit(".", 1)[0]
    assert module.rsplit(".", 1)[1] == file.stem
    signature = inspect.signature(hydra.utils.get_object(options._target_)).parameters
    defaults = {key: value.default for key, value in signature.items() if key != "model"}
    assert {key: value for key, value in options.items() if key[0] != "_"} == defaults
    built = hydra.utils.instantiate(options)
    if file.parent.name == "optimizer":
        assert isinstance(built(nn.Linear(2, 2)), torch.optim.Optimizer)
    else:
        assert isinstance(built, Schedule)


def test_there_are_files_for_every_kind():
    stems = {f"{file.parent.name}={file.stem}" for file in FILES}
    assert stems >= {"optimizer=muon", "optimizer=adamw", "schedule=cosine", "schedule=wsd"}
