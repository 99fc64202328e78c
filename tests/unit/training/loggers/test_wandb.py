"""logger=wandb; whole runs are in tests/runs/test_loggers.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_transformer.config import signatures
from lightning_transformer.config.validate import check
from lightning_transformer.errors import ConfigError
from tests.conftest import compose_config
from tests.helpers.short_runs import environment

KEY = "0123456789" * 4
ASK = """
from lightning_transformer.training.loggers.wandb import WandB
try:
    logger = WandB({folder!r}, **{options!r})
    print(logger.version, logger._wandb_init["mode"], logger._wandb_init["group"])
except ValueError as error:
    print(error)
"""


def ask(folder: Path, env: dict[str, str], **options: object) -> tuple[str, str]:
    """What making the logger says, in a process with this environment and no credentials."""
    known = {k: v for k, v in environment().items() if not k.startswith("WANDB_")}
    own = {"HOME": str(folder), "NETRC": str(folder / "none"), "WANDB_CONFIG_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(folder=str(folder / "sweep" / "run"), options=options)],
        env={**known, **own, **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.slow
def test_without_a_key_it_is_refused_and_offline_needs_none(tmp_path: Path) -> None:
    said, err = ask(tmp_path, {})
    assert said.startswith("logger=wandb has no API key: run `wandb login`, set WANDB_API_KEY, or")
    assert err == ""
    run_id, mode, group = ask(tmp_path, {}, offline=True)[0].split()
    assert (len(run_id), mode, group) == (8, "offline", "sweep")
    assert ask(tmp_path, {"WANDB_MODE": "offline"})[0].split()[1:] == ["None", "sweep"]
    assert ask(tmp_path, {"WANDB_API_KEY": KEY}, group="x")[0].split()[1:] == ["None", "x"]
    assert not [name for name in os.listdir(tmp_path) if "netrc" in name]


def test_a_package_that_is_missing_is_named_before_anything_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = signatures.find_spec
    monkeypatch.setattr(
        signatures, "find_spec", lambda name: None if name == "wandb" else found(name)
    )
    for cached in (signatures.missing_packages, signatures._is_installed):
        cached.cache_clear()
    try:
        with pytest.raises(ConfigError) as caught:
            check(compose_config("logger=[csv,wandb]"), {})
        assert str(caught.value) == "logger.wandb needs the package wandb: pip install wandb"
    finally:
        monkeypatch.undo()
        for cached in (signatures.missing_packages, signatures._is_installed):
            cached.cache_clear()
    check(compose_config("logger=[csv,wandb]"), {})
