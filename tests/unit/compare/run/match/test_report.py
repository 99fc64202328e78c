"""The mismatch that is left, from what the runs report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_transformer.compare.run.match.report import matched
from lightning_transformer.runs.result import RunResult
from tests.unit.compare.run.fake_jobs import plan


@pytest.mark.parametrize(
    ("axis", "residual"), [("params", 0.01), ("flops", -0.25), ("time", 1.0), ("none", None)]
)
def test_the_residual_is_that_of_the_axis(tmp_path, axis, residual):
    for name, n, tokens, seconds in (("a", 1000, 400, 2.0), ("b", 1010, 300, 4.0)):
        result = RunResult(
            n_params_non_embedding=n,
            flops_per_token=10.0,
            tokens_seen=tokens,
            seconds=seconds,
        )
        (tmp_path / name).mkdir()
        result.write(tmp_path / name)
    one = plan()
    one.variants = [replace(v, axis=axis) for v in one.variants]
    found = matched(one, tmp_path, {"norm=a": "a", "norm=b": "b"})
    assert found["axis"] == axis
    expected = {} if residual is None else {"norm=b": pytest.approx(residual)}
    assert found["residual"] == expected


def test_nothing_is_said_before_a_run_has_finished(tmp_path):
    assert matched(plan(), tmp_path, {}) == {"axis": "none", "key": "", "residual": {}}
