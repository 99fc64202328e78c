"""Which split an example belongs to: a pure function of its name or text."""

import hashlib
from collections.abc import Iterable

from lightning_transformer.data.split import Record
from lightning_transformer.nn import checks


def position(name: str) -> float:
    """Return a number in [0, 1) that depends only on the name, spread evenly over names."""
    digest = hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def fractions_to_cut(
    val_fraction: float, test_fraction: float, val_path: str | None, test_path: str | None
) -> tuple[float, float]:
    """The shares of the data for val and for test, 0 of a split that has a file of its own.

    Raises ValueError unless both fractions are in [0, 1) and leave something for training.
    """
    checks.fraction("data.val_fraction", val_fraction)
    checks.fraction("data.test_fraction", test_fraction)
    if val_fraction + test_fraction >= 1:
        raise ValueError(
            f"data.val_fraction={val_fraction} + data.test_fraction={test_fraction} must be below "
            "1, for example 0.1 each"
        )
    return 0.0 if val_path else val_fraction, 0.0 if test_path else test_fraction


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
