"""The length of a run from which compiling its blocks pays."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.auto_compile import COMPILE_FROM, is_long, operations
from tests.conftest import compose_config


def config(steps: int, **layers: int) -> DictConfig:
    return OmegaConf.create(
        {
            "model": {"d_model": 10, **layers},
            "trainer": {"max_steps": steps},
            "data": {"batch_size": 2, "seq_len": 5},
        }
    )


def test_by_hand() -> None:
    # 3 layers of 12 * 10^2 weights, 6 operations for each of 7 steps of 2 rows of 5 tokens.
    assert operations(config(7, n_layers=3)) == 3 * 1200 * 6 * 7 * 10
    assert operations(config(7, n_encoder_layers=1, n_decoder_layers=2)) == 3 * 1200 * 6 * 7 * 10


def test_the_limit() -> None:
    each = operations(config(1, n_layers=1))
    steps = int(COMPILE_FROM // each)
    assert [is_long(config(n, n_layers=1)) for n in (steps - 1, steps + 1)] == [False, True]


@pytest.mark.parametrize("model", ["decoder_only", "encoder_decoder"])
def test_the_default_run_is_short(model: str) -> None:
    cfg = compose_config(f"model={model}")
    assert 0 < operations(cfg) < COMPILE_FROM / 4
