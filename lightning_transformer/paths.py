"""Where things are."""

from pathlib import Path

PACKAGE = Path(__file__).parent
# A wheel carries conf/ inside the package; a checkout has it beside.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
PROGRAM = "python -m lightning_transformer"
