"""`python -m tests.helpers.run_variant GROUP NAME`: the own test of a variant and its contracts."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import options
from tests.helpers.variants import GROUPS, ROOT, own_test, target

CONTRACTS = ("tests/contracts/test_components.py", "tests/repository/test_layout.py")


def main(arguments: list[str]) -> int:
    """Run them; return pytest's exit status, or 2 with one line for an unknown variant."""
    if len(arguments) != 2 or arguments[0] not in GROUPS:
        print("error: give GROUP=a folder of conf/ and NAME=an option in it", file=sys.stderr)
        return 2
    group, name = arguments
    if name not in options(group):
        print(
            f"error: there is no conf/{group}/{name}.yaml (choose from "
            f"{', '.join(options(group))})",
            file=sys.stderr,
        )
        return 2
    contracts = [str(ROOT / file) for file in CONTRACTS]
    status = pytest.main([*contracts, "-n0", "-q", "-k", f"{group}/{name}] or {group}-{name}]"])
    if target(group, name):
        status = status or pytest.main([str(own_test(group, name)), "-n0", "-q"])
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
