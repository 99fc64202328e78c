"""Overrides given in Python, checked as on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from lightning_transformer.config.compose import (
    check_launcher,
    check_match,
    composed,
    composer,
    preflight,
    register,
)
from lightning_transformer.convert.init_from import started_arguments
from lightning_transformer.errors import ConfigError


def check_overrides(overrides: Sequence[str]) -> list[str]:
    """Refuse what the command line refuses; add what init_from= says. ConfigError in one line."""
    if isinstance(overrides, str):
        raise ConfigError(f'overrides are a list of texts; write ["{overrides}"]')
    register()
    overrides = started_arguments(overrides)
    n_jobs = preflight(overrides)
    check_launcher(overrides)
    check_match(overrides, several=False)
    if n_jobs > 1:
        raise ConfigError(
            "several values for one key make several runs; train one value at a time, or use "
            "`python -m lightning_transformer.compare run`"
        )
    return overrides


def composed_config(overrides: Sequence[str]) -> DictConfig:
    """The checked configuration of one run."""
    overrides = check_overrides(overrides)
    with composer():
        return composed(overrides)
