"""Every option of every group, and any two of two groups, in models of this architecture.

Slow tests meet each option once, thorough ones the pairs, as the default tests of a decoder do.
"""

from __future__ import annotations

import pytest

from tests.contracts.conformance.design import designed, name_of, shows_a_new_option
from tests.contracts.conformance.properties import check

ROWS = [
    pytest.param(row, marks=pytest.mark.slow if new else pytest.mark.thorough, id=name_of(row))
    for row, new in zip(
        designed("encoder_decoder"), shows_a_new_option("encoder_decoder"), strict=True
    )
]


@pytest.mark.usefixtures("untraced_flex")
@pytest.mark.parametrize("choices", ROWS)
def test_keeps_what_a_transformer_promises(choices: dict[str, str]) -> None:
    check("encoder_decoder", choices)
