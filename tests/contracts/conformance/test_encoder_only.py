"""Every option of every group, and any two of two groups, in models of this architecture."""

from __future__ import annotations

import pytest

from tests.contracts.conformance.design import designed, name_of
from tests.contracts.conformance.properties import check


@pytest.mark.slow
@pytest.mark.usefixtures("untraced_flex")
@pytest.mark.parametrize("choices", designed("encoder_only"), ids=name_of)
def test_keeps_what_a_transformer_promises(choices: dict[str, str]) -> None:
    check("encoder_only", choices)
