"""How much a mean difference owes to the test text that happened to be chosen.

Seeds and test documents cross: each run is tested on each document. The variance of a mean
difference over n seeds and D documents (Clark 1973; Owen and Eckles 2012) is

    s_seed^2 / n + s_document^2 / D + s_both^2 / (n D)

The spread of the seeds' means holds the first and the last term; what is found here is the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_transformer.compare.report.design import Design
from lightning_transformer.compare.report.inference.noise import Student
from lightning_transformer.runs.evaluations import item_scores

LOSSES = "document_losses.npy"  # of a run: (loss, count, document) of each test example
METRIC = "test/loss"  # whose parts it has
FEWEST = 3.0  # effective documents: with two, intervals of 95 % were right in 92 % of tables
TOLERANCE = 1e-3  # relative: sums in single precision

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OtherText:
    """Whether the interval of a variant is for other test text as well.

    Attributes:
        documents: of the test text.
        effective: as many of one length would tell as much: (sum w)^2 / sum w^2 for documents of w
            targets (Kish 1965).
        missing: why the interval is of the seeds alone; empty where it is not.
    """

    documents: int | None = None
    effective: float | None = None
    missing: str = ""


@dataclass(frozen=True)
class TextNoise:
    """What other test text of the same kind does to a difference, where that is known."""

    text: OtherText
    source: Student | None = None


def document_source(losses: Array, counts: Array) -> Student:
    """The error that documents give the mean over seeds of sum(loss) / sum(count).

    The ratio is estimated anew without each document (jackknife: Tukey 1958), which is right for
    lengths as unequal as they come. What seeds and documents do together is taken out, for the
    seeds' means hold it already. Degrees of freedom: effective documents, less one.

    losses, counts: (n_seeds, n_documents), two of each at least: differences of summed losses, and
    targets, in all of a document above 0.
    """
    n_documents = losses.shape[1]
    total = counts.sum(axis=1, keepdims=True)
    ratio = losses.sum(axis=1, keepdims=True) / total
    # Leaving out a document moves the ratio by minus its residual over the rest of the targets.
    moved = (losses - ratio * counts) / (total - counts)
    variance = (moved.mean(axis=0) ** 2).sum()
    both = (moved.var(axis=0, ddof=1) / len(losses)).sum()
    share = (n_documents - 1) / n_documents
    se = float(np.sqrt(share * max(0.0, variance - both)))
    return Student("documents", se, effective_number(counts.sum(axis=0)) - 1)


def effective_number(weights: Array) -> float:
    """(sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def text_noise(design: Design, pairs: Mapping[str, Sequence[int]]) -> dict[str, TextNoise]:
    """Label to what test documents do to its difference; pairs: label to shared seeds."""
    runs: dict[Path, Array | str] = {}  # the baseline's are asked for again and again
    items: set[str] = set()

    def losses(label: str, seed: int) -> Array | str:
        run = design.cells[label][seed]
        if run.folder not in runs:
            value = run.result.metrics.get(design.metric)
            runs[run.folder] = _recorded(run.folder, design.metric, value, items)
        return runs[run.folder]

    return {
        label: _noise(
            [losses(label, seed) for seed in pairs[label]],
            [losses(design.baseline, seed) for seed in pairs[label]],
        )
        for label in design.labels[1:]
    }


def _recorded(folder: Path, metric: str, value: float | None, items: set[str]) -> Array | str:
    """(2, n) of value and count by document or item of a run, or why there is none.

    items: digests of those of the runs so far, to which that of this one is added.
    """
    if metric == METRIC:
        return _by_document(folder / LOSSES, value, metric)
    found = item_scores(folder, metric)
    if found is None:
        return f"{metric} is not recorded document by document"
    items.add(found.items)
    if len(items) > 1:
        return "runs were measured on different items"
    return _by_document(found.file, value, metric)


def _noise(ours: Sequence[Array | str], theirs: Sequence[Array | str]) -> TextNoise:
    """Of runs with the same seeds; text instead of losses says why a run has none."""
    why = next((one for one in [*ours, *theirs] if isinstance(one, str)), None)
    if why is not None:
        return _unknown(why)
    known = [one for one in [*ours, *theirs] if not isinstance(one, str)]
    if not ours:
        return _unknown("no seed is shared with the baseline")
    if len({one.shape for one in known}) > 1:
        return _unknown("its test documents are others than the baseline's")
    table = np.stack(known)  # (runs, (loss, count), documents)
    counts, of_base = table[: len(ours), 1], table[len(ours) :, 1]
    if (counts != of_base).any():
        return _unknown("its test documents are others than the baseline's, or cut otherwise")
    there = counts.sum(axis=0) > 0
    n, effective = int(there.sum()), effective_number(counts.sum(axis=0))
    if effective < FEWEST:
        return TextNoise(OtherText(n, effective, _too_few(n, effective)))
    if len(ours) < 2:
        return TextNoise(OtherText(n, effective, "one seed"))
    differences = table[: len(ours), 0] - table[len(ours) :, 0]
    found = document_source(differences[:, there], counts[:, there])
    return TextNoise(OtherText(n, effective), found)


def _unknown(why: str) -> TextNoise:
    return TextNoise(OtherText(missing=why))


def _too_few(n: int, effective: float) -> str:
    if n == 1:
        return "the test text is one document"
    return f"too few test documents ({n}, which tell as much as {effective:.1f} of one length)"


def _by_document(file: Path, value: float | None, metric: str) -> Array | str:
    """(2, n_documents) of loss and count, or why there is none. value: their ratio."""
    if not file.is_file():
        return f"runs without {file.name}"
    try:
        rows = np.load(file, allow_pickle=False)
        loss, count = rows["loss"].astype(float), rows["count"].astype(float)
        if "document" not in rows.dtype.names:
            return f"{file.name} of an earlier version, which does not tell documents apart"
        document = rows["document"].astype(np.int64)
    except (ValueError, IndexError, TypeError, OSError):
        return f"{file.name} cannot be read"
    if not len(document) or document.min() < 0:
        return "the data does not tell which document a test example is of"
    mean = loss.sum() / max(count.sum(), 1.0)
    if value is None or not abs(mean - value) <= TOLERANCE * max(abs(value), TOLERANCE):
        return f"{file.name} does not fit {metric}"
    return np.stack([np.bincount(document, weights=w) for w in (loss, count)])
