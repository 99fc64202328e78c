"""Overrides given in Python, checked as on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from lightning_transformer.config.compose import (
    check_match,
    composed,
    composer,
    preflight,
    register,
)
from lightning_transformer.errors import ConfigError


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse what the command line refuses. Raises ConfigError in one line."""
    if isinstance(overrides, str):
        raise ConfigError(f'overrides are a list of texts; write ["{overrides}"]')
    register()
    n_jobs = preflight(overrides)
    check_match(overrides, several=False)
    if n_jobs > 1:
        raise ConfigError(
            "several values for one key make several runs; train one value at a time, or use "
            "`python -m lightning_transformer.compare run`"
        )


def composed_config(overrides: Sequence[str]) -> DictConfig:
    """The checked configuration of one run."""
    check_overrides(overrides)
    with composer():
        return composed(overrides)
