"""What runs that are started one by one have in common, as Hydra is told of it."""

from __future__ import annotations

from lightning_transformer.config.job_names import shared_by_all


def test_what_runs_that_are_started_one_by_one_share_is_said_to_hydra() -> None:
    typed = ["data=text", "+model.x=[1,2]", "data.path=a b", "hydra.verbose=true"]
    expected = "hydra.job.config.override_dirname.exclude_keys=['data','data.path','model.x']"
    assert shared_by_all(typed) == expected
    assert shared_by_all([]).endswith("=[]")
