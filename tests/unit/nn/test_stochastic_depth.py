"""model.stochastic_depth: layers are left out of some rows, in training only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.residual.base import skip_rows
from tests.conftest import TINY, build_tiny, compose_config, exchanged, noise
from tests.helpers.short_runs import difference, short_run


def dropping(n_layers: int = 2, rate: float = 0.6, **choices: str) -> Any:
    """The stack of a tiny decoder; choices are group=option."""
    cfg = exchanged(compose_config(*TINY), **choices)
    cfg.model.n_layers, cfg.model.stochastic_depth = n_layers, rate
    return build_tiny(cfg).decoder


def test_a_row_has_the_layer_or_not() -> None:
    torch.manual_seed(0)
    x, y = noise(4000, 2, 3), noise(4000, 2, 3, seed=1)
    out = skip_rows(x, y, 0.25)
    left = (out == x).flatten(1).all(dim=1)
    torch.testing.assert_close(out[~left], (x + (y - x) / 0.75)[~left], rtol=0, atol=1e-12)
    assert abs(float(left.double().mean()) - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_the_mean_is_the_whole_layer() -> None:
    torch.manual_seed(0)
    x, y = torch.zeros(1, 1, 4).double(), noise(1, 1, 4)
    draws = skip_rows(x.expand(40_000, 1, 4), y.expand(40_000, 1, 4), 0.5)
    # An entry is 0 or 2 y: its deviation is y, and 4 of those of the mean y / 50.
    assert bool(((draws.mean(dim=0) - y[0]).abs() < y[0].abs() / 50).all())


@pytest.mark.parametrize(
    ("n_layers", "sharing", "wanted"),
    [
        (4, "none", [0.15, 0.3, 0.45, 0.6]),
        (1, "none", [0.6]),
        (2, "looped", [0.15, 0.3, 0.45, 0.6]),
    ],
)
def test_rates_grow_to_that_of_the_last_layer(
    n_layers: int, sharing: str, wanted: list[float]
) -> None:
    assert dropping(n_layers, layer_sharing=sharing).drop_rates == pytest.approx(wanted, rel=1e-12)


def test_evaluation_leaves_nothing_out() -> None:
    x = noise(3, 5, 32)
    stack, plain = dropping(), dropping(rate=0.0)
    assert torch.equal(stack(x), plain(x))
    assert not torch.equal(stack.train()(x), plain.train()(x))


def layers_of(stack: Any, x: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What enters each block, what it gives, and what enters the next."""
    seen: list[tuple[Tensor, Tensor]] = []
    for block in stack.blocks:
        block.register_forward_hook(lambda module, args, y: seen.append((args[0], y)))
    stack(x)
    entered = [before for before, _ in seen[1:]]
    return [(x, y, z) for (x, y), z in zip(seen, entered, strict=False)]


@pytest.mark.parametrize("residual", ["pre_norm", "residual_dual", "hyper_connections"])
def test_all_streams_of_a_row_go_together(residual: str) -> None:
    stack = dropping(4, residual=residual).train()
    torch.manual_seed(0)
    left_out = kept = 0
    for number, (x, y, z) in enumerate(layers_of(stack, noise(16, 5, 32))):
        scaled = x + (y - x) / (1 - stack.drop_rates[number])
        for row in range(16):
            if torch.equal(z[row], x[row]):
                left_out += 1
            else:
                torch.testing.assert_close(z[row], scaled[row], rtol=0, atol=1e-12)
                kept += 1
    assert left_out > 0
    assert kept > left_out / 2


@pytest.mark.parametrize("residual", ["pre_norm", "residual_dual", "hyper_connections"])
def test_rows_that_have_all_layers_have_gradients_everywhere(residual: str) -> None:
    stack = dropping(residual=residual).train()
    torch.manual_seed(1)
    (stack(noise(16, 5, 32)) * noise(16, 5, 32, seed=1)).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in stack.parameters())


@pytest.mark.parametrize("rate", [1.0, -0.1])
def test_refuses_to_leave_out_all(rate: float) -> None:
    with pytest.raises(ValueError, match=r"stochastic_depth=.* must be at least 0 and below 1"):
        dropping(rate=rate)


def test_resumed_is_undisturbed(tmp_path: Path) -> None:
    """What is left out depends on the seed and the step, not on where a run began."""
    typed = ("model.stochastic_depth=0.5", "model.n_layers=2", "schedule=constant")
    short_run(tmp_path / "whole", *typed)
    short_run(tmp_path / "run", *typed, "trainer.max_steps=3")
    short_run(tmp_path / "run", *typed, resume=True)
    assert difference(tmp_path / "run", tmp_path / "whole") == 0
