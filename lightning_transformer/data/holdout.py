"""Which split an example belongs to: a pure function of its name or text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from lightning_transformer.data.split import Record
from lightning_transformer.nn import checks


def position(name: str) -> float:
    """Return a number in [0, 1) that depends only on the name, spread evenly over names."""
    digest = hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Raise ValueError unless both are in [0, 1) and leave something for training."""
    for key, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        checks.fraction(f"data.{key}", value)
    if val_fraction + test_fraction >= 1:
        raise ValueError(
            f"data.val_fraction={val_fraction} + data.test_fraction={test_fraction} must be below "
            "1, for example 0.1 each"
        )


def assign(name: str, val_fraction: float, test_fraction: float) -> str:
    """Return "train", "val" or "test" for a name, with these probabilities over names."""
    at = position(name)
    if at < test_fraction:
        return "test"
    return "val" if at < test_fraction + val_fraction else "train"


def split_names(val_fraction: float, test_fraction: float) -> list[str]:
    """Return the splits that exist: a fraction of 0 means that there is none."""
    chosen = {"val": val_fraction, "test": test_fraction}
    return ["train", *(split for split, fraction in chosen.items() if fraction > 0)]


def by_first_text(
    records: Iterable[Record], val_fraction: float, test_fraction: float
) -> dict[str, list[Record]]:
    """Split records by the hash of their first text, so that equal texts stay together."""
    found: dict[str, list[Record]] = {s: [] for s in split_names(val_fraction, test_fraction)}
    for record in records:
        found[assign(record.texts[0], val_fraction, test_fraction)].append(record)
    return found
