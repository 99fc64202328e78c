"""Spans that tags such as B-PER, I-PER and O mark, and the scores of those found."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_transformer.tasks.metrics.row_losses import IGNORE

SPAN_TAG = re.compile(r"[BIES]-.+")
OUTSIDE = "O"
Span = tuple[str, int, int]  # kind, first word, word behind the last


def marks_spans(labels: Sequence[str]) -> bool:
    """Whether all tags are O or B-, I-, E-, S- and a kind."""
    kinds = [label for label in labels if label != OUTSIDE]
    return bool(kinds) and all(SPAN_TAG.fullmatch(label) for label in kinds)


def lenient_spans(tags: Sequence[str]) -> Iterator[Span]:
    """Spans as conlleval reads them (Tjong Kim Sang & Buchholz 2000): any of the schemes, mended.

    A tag of another kind than the one before starts a span, and so does B, S, or I, E after the
    end of one or outside of any.
    """
    begin, before, kind_before = 0, OUTSIDE, "_"
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = tag[0], tag[2:] or "_"
        changes = kind != kind_before
        ends = before in "ES" or (before in "BI" and (prefix in "BSO" or changes))
        starts = prefix in "BS" or (prefix in "IE" and (before in "ESO" or changes))
        if ends:
            yield kind_before, begin, place
        if starts:
            begin = place
        before, kind_before = prefix, kind


class Scheme(NamedTuple):
    """Pairs of neighbouring prefixes that start a span, go on in one, and end one.

    A pair is written such as `BI=`: B, then I of the same kind; ! is another kind, * any kind, and
    ? any prefix.
    """

    starts: str
    inside: str
    ends: str

    def spans(self, tags: Sequence[str]) -> Iterator[Span]:
        """The spans that keep to the scheme; others are none at all."""
        tags, place, before = [*tags, OUTSIDE], 0, OUTSIDE
        while place < len(tags):
            end = place + 1
            if _fits(self.starts, before, tags[place]):
                while end < len(tags) and _fits(self.inside, tags[end - 1], tags[end]):
                    end += 1
                if _fits(self.ends, tags[end - 1], tags[end]):
                    yield tags[place][2:], place, end
            before, place = tags[end - 1], end


def _fits(pairs: str, before: str, tag: str) -> bool:
    kinds = "=*" if before[2:] == tag[2:] else "!*"
    return any(
        pair[0] in ("?", before[0]) and pair[1] in ("?", tag[0]) and pair[2] in kinds
        for pair in pairs.split()
    )


# Ramshaw & Marcus 1995; Tjong Kim Sang & Veenstra 1999; Uchimoto et al. 2000; as in seqeval.
IOB1 = Scheme("OI* II! BI* IB= BB=", "BI= II=", "II! IO* IB* BO* BI! BB=")
IOB2 = Scheme("?B*", "BI= II=", "IO* II! IB* BO* BI! BB*")
BIOES = Scheme("?B* ?S*", "BI= BE= II= IE=", "S?* E?*")
# One that fits all spans of the targets is the scheme of the data, the first of several.
STRICT: tuple[Scheme, ...] = (IOB2, IOB1, BIOES)
READINGS: tuple[Callable[[Sequence[str]], Iterator[Span]], ...] = (
    lenient_spans,
    *(scheme.spans for scheme in STRICT),
)


class SpanScores(Metric):
    """Precision, recall and F1 of spans over a whole split, all kinds together, in [0, 1].

    A span is right if its kind and both its ends are. Sentences that are cut into windows are put
    together again before they are read. Equal to seqeval (Nakayama 2018): its default mode, and its
    strict mode in the scheme that the targets keep to.
    """

    counts: Tensor  # (readings, 3): spans found, spans of the targets, in both
    pieces: list[Tensor]  # (n, 4): sentence, place, guess, label of the words of cut sentences

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = list(labels)
        counts = torch.zeros(len(READINGS), 3, dtype=torch.long)
        self.add_state("counts", counts, dist_reduce_fx="sum")
        self.add_state("pieces", [], dist_reduce_fx="cat")

    def update(self, guesses: Tensor, labels: Tensor, origins: Tensor | None = None) -> None:
        """Add rows: guesses and labels (B, T) long, -100 = no word.

        origins: (B, 2), sentence and place of the first token of a row that is a window, -1 of
        one that is a sentence.
        """
        words = labels != IGNORE
        if origins is None:
            origins = torch.full((len(labels), 2), -1, device=labels.device)
        places = torch.arange(labels.shape[1], device=labels.device) + origins[:, 1:]
        sentences = origins[:, :1].expand_as(labels)
        cut = words & (sentences >= 0)
        table = torch.stack([sentences, places, guesses, labels], dim=-1)
        self.pieces.append(table[cut])
        whole = words & ~cut
        rows = [
            (g[w].tolist(), t[w].tolist()) for g, t, w in zip(guesses, labels, whole, strict=True)
        ]
        self.counts += self._count(rows).to(self.counts.device)

    def _count(self, rows: Sequence[tuple[list[int], list[int]]]) -> Tensor:
        counts = torch.zeros(len(READINGS), 3, dtype=torch.long)
        for row in rows:
            guessed, wanted = ([self.labels[number] for number in side] for side in row)
            for number, read in enumerate(READINGS):
                found, right = set(read(guessed)), set(read(wanted))
                counts[number] += torch.tensor([len(found), len(right), len(found & right)])
        return counts

    def compute(self) -> Tensor:
        """(4,) float64 on the host: F1, precision and recall as conlleval, F1 by the scheme."""
        counts = self.counts.cpu()
        pieces: Any = self.pieces  # one tensor where those of several processes were put together
        table = pieces if isinstance(pieces, Tensor) else torch.cat([*pieces])
        if len(table):
            # Processes that share the layers of one model have seen the same words.
            unique, copies = torch.unique(table.cpu(), dim=0, return_counts=True)
            rows = [
                (part[:, 2].tolist(), part[:, 3].tolist())
                for part in unique.split(torch.unique(unique[:, 0], return_counts=True)[1].tolist())
            ]
            counts = counts + self._count(rows) * copies[0]
        scores = [_scores(*row) for row in counts.tolist()]
        fits = [n for n in range(1, len(READINGS)) if counts[n, 1] == counts[0, 1]] or [1]
        f1, precision, recall = scores[0]
        return torch.tensor([f1, precision, recall, scores[fits[0]][0]], dtype=torch.float64)


def _scores(n_found: int, n_wanted: int, n_right: int) -> tuple[float, float, float]:
    """F1, precision and recall; 0 where there is nothing to divide by."""
    f1 = 2 * n_right / (n_found + n_wanted) if n_right else 0.0
    return f1, n_right / max(n_found, 1), n_right / max(n_wanted, 1)
