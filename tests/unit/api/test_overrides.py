"""Overrides in Python: the checks of the command line, and a configuration of one run."""

from __future__ import annotations

import pytest

from lightning_transformer.api.overrides import check_overrides, composed_config
from lightning_transformer.errors import ConfigError


def test_a_checked_configuration_has_the_overrides() -> None:
    cfg = composed_config(["norm=dyt", "model.n_layers=3"])
    assert cfg.norm._target_.endswith(".DyT")
    assert cfg.model.n_layers == 3


def test_one_text_and_several_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'overrides are a list of texts; write \["norm=dyt"\]'):
        check_overrides("norm=dyt")
    with pytest.raises(ConfigError, match="several values for one key"):
        check_overrides(["seed=1,2"])
