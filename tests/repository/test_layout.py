"""Every variant module has its test at the same path below tests/unit."""

from __future__ import annotations

import pytest

from tests.conftest import options
from tests.helpers.variants import GROUPS, ROOT, own_test, target

VARIANTS = [(group, name) for group in GROUPS for name in options(group) if target(group, name)]


def test_variants_were_found() -> None:
    assert len(VARIANTS) > 100


@pytest.mark.parametrize(("group", "name"), VARIANTS)
def test_a_variant_has_its_own_test(group: str, name: str) -> None:
    file = own_test(group, name)
    assert file.is_file(), (
        f"{group}={name} has no test of its own: write {file.relative_to(ROOT)}, such as "
        "`python -m lightning_transformer.new` prints"
    )
    assert "def test_" in file.read_text(encoding="utf-8")
