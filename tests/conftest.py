"""Shared by all tests: options as found on disk, composed configurations, tiny models."""

from __future__ import annotations

import copy
import gc
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

# As many processes as cores test side by side; one of several threads would slow all others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build_model
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.attention.kernels.base import LimitedTraining
from lightning_transformer.paths import CONF
from lightning_transformer.tasks import causal_lm
from tests.helpers.refusals import companions

torch.set_num_threads(1)
MOST_WORKERS = 8  # a gigabyte each
# Waiting for the disk protects from a loss of power, which no test has: what a killed process wrote
# is kept by the system. That files are synced, and in which order, is tested by the calls.
os.fsync = os.fstat
# The sample at the end of each run is a third of the time of a short one; its length is no matter.
SAMPLED, causal_lm.SAMPLE_LENGTH = causal_lm.SAMPLE_LENGTH, 20


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core for folders; files that are named do not wait for others to start."""
    folders = any(Path(arg.split("::")[0]).is_dir() for arg in config.args)
    return min(os.cpu_count() or 1, MOST_WORKERS) if folders else 0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what stays to the end: modules, cases, and all they refer to."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


TINY = ("model.d_model=32", "data.seq_len=16", "data.batch_size=4")
LABELS = ("one", "two", "three")


def options(group: str) -> list[str]:
    """The options of a config group, by the files that are there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def training_kernels() -> list[str]:
    """The kernels with gradients on a CPU; that others refuse is part of their contract."""
    return [option for option in options("kernel") if _trains_on_cpu(option)]


@cache
def _trains_on_cpu(option: str) -> bool:
    kernel = instantiate(OmegaConf.load(CONF / "kernel" / f"{option}.yaml"))
    try:
        if isinstance(kernel, LimitedTraining):
            kernel.check_training("cpu", 0.0)
    except ValueError:
        return False
    return True


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers in float64, always the same for a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    register()
    with composer():
        return composed(overrides)


def compose_config(*overrides: str) -> DictConfig:
    """The configuration that a command line with these overrides would use."""
    return copy.deepcopy(_composed(overrides))


def exchanged(cfg: DictConfig, **choices: str) -> DictConfig:
    """A copy in which groups without defaults of their own have other options.

    The same as composing with group=option, a hundred times as fast. Where an option is refused
    beside one of the configuration, that one is exchanged too.
    """
    cfg = copy.deepcopy(cfg)
    for choice in tuple(choices.items()):
        choices = companions(cfg, *choice) | choices
    for group, option in choices.items():
        content = OmegaConf.load(CONF / group / f"{option}.yaml")
        assert "defaults" not in content, f"{group}={option} has to be composed"
        cfg[group] = content
    return cfg


def build_tiny(cfg: DictConfig, dtype: torch.dtype = torch.float64) -> Transformer:
    """The model of a configuration, for bytes and three labels, in evaluation mode."""
    model = build_model(cfg, vocabulary=ByteVocabulary(), labels=LABELS, seed=1)
    return model.to(dtype).eval()


def tiny(*overrides: str, dtype: torch.dtype = torch.float64) -> Transformer:
    """A model of width 32, two layers per stack and rows of 16 bytes, in evaluation mode."""
    cfg = compose_config(*TINY, *overrides)
    for key in ("n_layers", "n_encoder_layers", "n_decoder_layers"):
        if key in cfg.model and not any(text.startswith(f"model.{key}=") for text in overrides):
            cfg.model[key] = 2
    return build_tiny(cfg, dtype)


@pytest.fixture
def cfg() -> Callable[..., DictConfig]:
    """Give `cfg(*overrides)`, which composes a configuration."""
    return compose_config
