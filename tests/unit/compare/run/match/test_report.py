"""The mismatch that is left, from what the runs report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_transformer.compare.report.comparison import MatchResult
from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.compare.run.outcome import Outcome
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import plan


@pytest.mark.parametrize(
    ("axis", "residual"), [("params", 0.01), ("flops", -0.25), ("time", 1.0), ("none", None)]
)
def test_the_residual_is_that_of_the_axis(tmp_path, axis, residual):
    one = plan()
    one = Plan(one.request, [replace(v, axis=axis) for v in one.variants])
    outcomes = {}
    amounts = ((1000, 400, 2.0), (1010, 300, 4.0))
    for variant, (n, tokens, seconds) in zip(one.variants, amounts, strict=True):
        result = RunResult(
            n_params_non_embedding=n,
            flops_per_token=10.0,
            tokens_seen=tokens,
            seconds=seconds,
        )
        job = one.job(variant, 2, ())  # the other seed has not finished
        (tmp_path / job.folder).mkdir()
        result.write(tmp_path / job.folder)
        outcomes[job.key] = Outcome("finished")
    found = matched(one, tmp_path, outcomes)
    assert found.axis == axis
    expected = {} if residual is None else {"norm=b": pytest.approx(residual)}
    assert found.residual == expected


def test_nothing_is_known_before_a_run_has_finished(tmp_path):
    assert matched(plan(), tmp_path, {}) == MatchResult()
