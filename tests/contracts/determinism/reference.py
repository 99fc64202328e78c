"""The runs whose losses are committed, one per architecture.

    python -m tests.contracts.determinism.reference    records them anew, after a meant change

float64, so that another CPU or torch differs in the last digits only and not in what they become.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from tests.conftest import options
from tests.helpers.short_runs import DROPOUT, history, short, short_pairs, start

FOLDER = Path(__file__).parent
N_STEPS = 60
COMMON = (
    "trainer.precision=64-true",
    f"trainer.max_steps={N_STEPS}",
    "trainer.val_every=30",
    "trainer.accumulate=2",
    "optimizer=adamw",
    *DROPOUT,
)
KINDS = options("model")


def typed(kind: str, folder: Path) -> list[str]:
    """What to type for the run of an architecture, with its data in a folder."""
    if kind == "encoder_decoder":
        return short_pairs(folder, *COMMON)
    return short(folder, f"model={kind}", *COMMON)


def losses(kind: str, folder: Path) -> dict[str, list[float]]:
    """Every logged loss of the run, in float64."""
    start(folder / "run", typed(kind, folder))
    rows = history(folder / "run")
    return {
        name: [float(row[name]) for row in rows if row.get(name)]
        for name in ("train/loss", "val/loss", "test/loss")
    }


def committed(kind: str) -> dict[str, list[float]]:
    """The losses in the file of an architecture."""
    content = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def main() -> None:
    """Record all."""
    torch.set_num_threads(1)
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(losses(kind, Path(folder)), indent=1)
        (FOLDER / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
