"""Measuring a trained run again, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.measure import measure
from lightning_transformer.evaluate.settings import settings
from lightning_transformer.generate.run_folder import check_run


def evaluate(
    run: Path | str,
    overrides: Sequence[str] = (),
    *,
    split: str = "test",
    checkpoint: str = "best",
    trust: Sequence[str] = (),
) -> dict[str, Any]:
    """The metrics of a trained run on a split, other text or longer rows; writes nothing.

    run: its folder. overrides: such as ["data.seq_len=512"] or ["data=text", "data.path=b.txt"];
    one value each. split: test, val or train. checkpoint: best (by trainer.monitor of the run) or
    last. trust: packages whose components the run may name, besides this one and plug-ins.

    The result has what the JSON file of the command has: "metrics", such as {"test/loss": 1.2},
    "n_documents", "data" with its sha256, and others; and under "document_losses" the loss (sum in
    nats) and the count of targets of each example, a structured array (n,).
    Raises ValueError, in one line, for what cannot be changed or does not fit the run.
    """
    if isinstance(overrides, str):
        raise ConfigError(f'overrides are a list of texts; write ["{overrides}"]')
    if any(override.startswith("split=") for override in overrides):
        raise ConfigError("split= among the overrides; write split=... as an argument of its own")
    found = settings([f"split={split}", *overrides])
    if len(found) > 1:
        raise ConfigError("several values for one key are several evaluations; give one each")
    check_run(Path(run), checkpoint)
    measured = measure(Path(run), found[0], checkpoint, trust)
    return measured.evaluation.to_dict() | {"document_losses": measured.losses}
