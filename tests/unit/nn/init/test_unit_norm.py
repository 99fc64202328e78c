"""init=unit_norm: what is drawn, what keeps its length, and what that does to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.init.unit_norm import UnitNorm
from lightning_transformer.training.guard.skip import Skip
from tests.conftest import build_tiny, compose_config, tiny
from tests.helpers.short_runs import DROPOUT, checkpoint, difference, short_run, weights
from tests.unit.nn.init.drawing import assert_normal, draw

# By hand: which dimension of a weight has the size of the stream.
OUTPUTS = ("attention.out.weight", "cross.out.weight", "ffn.down.weight")


def length(weight: Tensor, name: str) -> Tensor:
    return weight.norm(dim=0 if name.endswith(OUTPUTS) else 1)


def assert_unit(weights: dict[str, Tensor], tolerance: float) -> None:
    matrices = {name: w for name, w in weights.items() if w.ndim == 2}
    assert len(matrices) > 5
    for name, weight in matrices.items():
        lengths = length(weight, name)
        torch.testing.assert_close(
            lengths, torch.ones_like(lengths), rtol=0, atol=tolerance, msg=name
        )


@pytest.mark.parametrize("role", ["linear", "query_key", "head", "embedding", "residual_out"])
def test_uniform_on_the_sphere(role: str) -> None:
    weight = draw(UnitNorm(), role)  # 300 inputs, 400 outputs
    dim, size = (0, 400) if role == "residual_out" else (1, 300)
    lengths = weight.norm(dim=dim)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=1e-6)
    assert_normal(weight, size**-0.5)


@pytest.mark.parametrize("model", ["decoder_only", "encoder_only", "encoder_decoder"])
def test_every_matrix_of_a_model(model: str) -> None:
    built = tiny(f"model={model}", "init=unit_norm", "tie_embeddings=false", "attention.bias=true")
    assert_unit(built.state_dict(), 1e-6)
    found = built.init.unit_weights(built)
    matrices = [p for p in built.parameters() if p.ndim == 2]
    assert {id(weight) for weight, _ in found} == {id(p) for p in matrices}
    assert len(found) == len(matrices)


def test_a_tied_table_is_named_once() -> None:
    model = tiny("init=unit_norm", "tie_embeddings=true")
    found = model.init.unit_weights(model)
    assert len(found) == len({id(weight) for weight, _ in found})


@pytest.mark.parametrize(
    "overrides",
    [
        ("ffn=moe",),
        ("residual=hyper_connections",),
        ("position=t5_bias",),
        ("block=canon",),
    ],
)
def test_other_matrices_are_refused_by_name(overrides: tuple[str, ...]) -> None:
    with pytest.raises(
        ConfigError, match=r"^init=unit_norm has rules .* none for [\w.]+; use init="
    ) as caught:
        build_tiny(compose_config("data.seq_len=16", "init=unit_norm", *overrides))
    assert "\n" not in str(caught.value)


def test_an_optimizer_with_weights_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^optimizer=schedule_free .* use optimizer=adamw"):
        short_run(
            tmp_path / "run", "init=unit_norm", "optimizer=schedule_free", "schedule=constant"
        )


# -- runs -----------------------------------------------------------------------------------------

NGPT = ("preset=ngpt", "schedule=constant")
FAST = ("optimizer.lr=0.05", "trainer.precision=64-true")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_lengths_stay_through_a_run(tmp_path: Path, optimizer: str) -> None:
    short_run(tmp_path / "run", *NGPT, *FAST, f"optimizer={optimizer}")
    assert_unit(weights(tmp_path / "run"), 1e-14)


def test_resumed_is_undisturbed(tmp_path: Path) -> None:
    """Bit for bit: what was brought to length 1 is not divided again."""
    typed = (*NGPT, *DROPOUT)
    short_run(tmp_path / "whole", *typed)
    short_run(tmp_path / "run", *typed, "trainer.max_steps=3")
    short_run(tmp_path / "run", *typed, resume=True)
    assert difference(tmp_path / "run", tmp_path / "whole") == 0
    one, other = (checkpoint(tmp_path / name)["optimizer_states"][0] for name in ("run", "whole"))
    assert one["param_groups"] == other["param_groups"]
    assert_unit(weights(tmp_path / "run"), 1e-6)


def test_accumulated_is_as_at_once(tmp_path: Path) -> None:
    typed = (*NGPT, *FAST, "optimizer=adamw")
    short_run(tmp_path / "whole", *typed)
    short_run(tmp_path / "parts", *typed, "trainer.accumulate=4")
    assert difference(tmp_path / "parts", tmp_path / "whole") < 1e-10


def test_a_step_that_is_left_out_changes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    """guard=skip: the weights stay to the bit, although the hook of the optimizer is called."""
    monkeypatch.setattr(Skip, "judge", lambda guard, loss, norm: torch.tensor(True))
    typed = (*NGPT, "guard=skip", "guard.in_a_row=100")
    short_run(tmp_path / "one", *typed, "trainer.max_steps=3")
    short_run(tmp_path / "two", *typed)
    assert difference(tmp_path / "one", tmp_path / "two") == 0
