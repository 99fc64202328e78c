"""One seed, one result: again, in another process's past, and however a configuration is written.

That validation does not disturb training is invariant 19.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.training.request import RunRequest
from lightning_transformer.training.run import run
from tests.conftest import compose_config
from tests.contracts.determinism.reference import FOLDER, KINDS, N_STEPS, committed, losses
from tests.helpers.short_runs import DROPOUT, difference, history, short, short_run


def test_every_architecture_has_a_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_committed(kind: str, tmp_path: Path) -> None:
    """In float64 within a relative 1e-9 on any CPU; two makes of one differ in the last digits."""
    expected, found = committed(kind), losses(kind, tmp_path)
    assert len(found["train/loss"]) == N_STEPS
    for name, numbers in expected.items():
        assert found[name] == pytest.approx(numbers, rel=1e-9, abs=0)
        assert numbers[-1] < numbers[0] or len(numbers) == 1


def test_two_runs_of_a_hundred_steps_are_bit_equal(tmp_path: Path) -> None:
    overrides = ("trainer.max_steps=100", "trainer.val_every=50", "trainer.log_every=10", *DROPOUT)
    for name in ("one", "two"):
        short_run(tmp_path / name, *overrides)
    assert difference(tmp_path / "one", tmp_path / "two") == 0.0
    rows = history(tmp_path / "one")
    assert rows == history(tmp_path / "two")
    assert len(rows) == 10


def shuffled(node: Any, draw: random.Random) -> Any:
    """The same mapping with its keys in another order, at every depth."""
    if not isinstance(node, dict):
        return node
    keys = list(node)
    draw.shuffle(keys)
    return {key: shuffled(node[key], draw) for key in keys}


@pytest.mark.slow
def test_the_order_of_components_in_a_configuration_changes_nothing(tmp_path: Path) -> None:
    """Neither of groups on the command line, nor of keys in files."""
    typed = short(tmp_path, "norm=layernorm", "activation=gelu", "position=learned", *DROPOUT)
    plain = compose_config(*typed)
    backwards = compose_config(*typed[:1], *reversed(typed[1:]))
    resolved = OmegaConf.to_container(plain, resolve=True)
    mixed = OmegaConf.create(shuffled(resolved, random.Random(1)))
    assert isinstance(mixed, DictConfig)
    assert list(mixed) != list(plain)
    variants = {"plain": plain, "backwards": backwards, "mixed": mixed}
    results = [run(cfg, RunRequest(tmp_path / name)) for name, cfg in variants.items()]
    assert len({result.config_sha256 for result in results}) == 1
    for name in ("backwards", "mixed"):
        assert difference(tmp_path / "plain", tmp_path / name) == 0.0
        assert history(tmp_path / "plain") == history(tmp_path / name)
