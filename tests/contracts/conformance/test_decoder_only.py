"""Every option of every group, and any two of two groups, in models of this architecture."""

from __future__ import annotations

import pytest

from tests.contracts.conformance.design import designed, name_of
from tests.contracts.conformance.properties import check

# Even untraced, rows of kernel=flex take several times as long as others; its own tests are quick.
ROWS = [
    pytest.param(row, marks=pytest.mark.slow if row["kernel"] == "flex" else (), id=name_of(row))
    for row in designed("decoder_only")
]


@pytest.mark.parametrize("choices", ROWS)
def test_keeps_what_a_transformer_promises(
    choices: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if choices["kernel"] == "flex":
        request.getfixturevalue("untraced_flex")
    check("decoder_only", choices)
