from __future__ import annotations

import logging
import warnings

from lightning.fabric.plugins.environments import SLURMEnvironment

from lightning_transformer.training.lightning_warnings import quiet_lightning


def test_adverts_and_needless_warnings_are_gone_and_others_stay(recwarn, capsys):
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    filters = list(warnings.filters)
    with quiet_lightning():
        log.info("Tip: try our product")
        log.warning("something is wrong")
        warnings.warn(
            "The 'train_dataloader' does not have many workers which may be", stacklevel=1
        )
        warnings.warn("something else is wrong", stacklevel=1)
    assert [str(warning.message) for warning in recwarn] == ["something else is wrong"]
    assert capsys.readouterr() == ("", "something is wrong\n")
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").handlers == []


def test_slurm_may_be_installed_and_unused(tmp_path, monkeypatch, recwarn):
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("SLURM_NTASKS", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    SLURMEnvironment.detect()
    assert "srun" in str(recwarn.pop().message)  # what Lightning says by itself
    with quiet_lightning():
        SLURMEnvironment.detect()
    assert not recwarn.list
