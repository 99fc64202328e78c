"""Spans of tags, by hand and against seqeval where it is installed."""

from __future__ import annotations

import random

import pytest
import torch

from lightning_transformer.tasks.metrics.spans import (
    BIOES,
    IOB1,
    IOB2,
    SpanScores,
    lenient_spans,
    marks_spans,
)

IOB = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
ALL = [*IOB, "E-PER", "S-PER", "E-LOC", "S-LOC"]
Rows = list[tuple[list[str], list[str]]]


def scores(rows: Rows, labels: list[str], cut: int = 0) -> list[float]:
    """F1, precision, recall, strict F1; sentences in windows of `cut` words, if any."""
    metric = SpanScores(labels)
    pieces = []
    for sentence, row in enumerate(rows):
        guesses, wanted = ([labels.index(tag) for tag in side] for side in row)
        size = cut or len(wanted)
        for start in range(0, len(wanted), size):
            part = slice(start, start + size)
            origin = [sentence, start] if cut else [-1, -1]
            pieces.append(tuple(map(torch.tensor, ([guesses[part]], [wanted[part]], [origin]))))
    for piece in reversed(pieces):  # in whatever order processes have seen them
        metric.update(*piece)
    return metric.compute().tolist()


def drawn(labels: list[str], seed: int, n: int = 60) -> Rows:
    chosen = random.Random(seed)
    rows = []
    for _ in range(n):
        wanted = chosen.choices(labels, k=chosen.randint(1, 12))
        guessed = [t if chosen.random() < 0.8 else chosen.choice(labels) for t in wanted]
        rows.append((guessed, wanted))
    return rows


def test_by_hand() -> None:
    tags = ["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]
    assert list(IOB2.spans(tags)) == [("PER", 0, 2), ("LOC", 4, 5)]
    everything = [("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5), ("PER", 5, 6)]
    assert list(lenient_spans(tags)) == everything
    assert list(IOB1.spans(["I-PER", "I-PER", "B-PER", "O"])) == [("PER", 0, 2), ("PER", 2, 3)]
    assert list(BIOES.spans(["B-PER", "I-PER", "E-PER", "S-LOC", "B-LOC"])) == [
        ("PER", 0, 3),
        ("LOC", 3, 4),
    ]


def test_a_span_counts_only_whole() -> None:
    wanted = ["B-PER", "I-PER", "O", "B-LOC"]
    found = scores([(["B-PER", "O", "O", "B-LOC"], wanted)], IOB)
    assert found == pytest.approx([1 / 2, 1 / 2, 1 / 2, 1 / 2])
    assert scores([(["O"] * 4, wanted)], IOB) == [0, 0, 0, 0]
    assert scores([(wanted, wanted)], IOB) == [1, 1, 1, 1]


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_sentence_in_windows_is_read_as_one(cut: int) -> None:
    rows = drawn(ALL, 3)
    assert scores(rows, ALL, cut) == scores(rows, ALL)


def test_words_that_several_processes_have_seen_weigh_as_the_others() -> None:
    metric, other = SpanScores(IOB), SpanScores(IOB)
    for seen in (metric, other, other):
        seen.update(torch.tensor([[1, 0, 3]]), torch.tensor([[1, 2, 3]]))
        window = torch.tensor([[5, 0]])
        seen.update(torch.tensor([[1, 2, 0]]), torch.tensor([[1, 2, 3]]), window)
    assert other.compute().tolist() == metric.compute().tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labels", [IOB, ALL])
def test_equals_seqeval_by_default(seed: int, labels: list[str]) -> None:
    theirs = pytest.importorskip("seqeval.metrics")
    rows = drawn(labels, seed)
    guessed, wanted = [[row[i] for row in rows] for i in (0, 1)]
    expected = [
        measure(wanted, guessed)
        for measure in (theirs.f1_score, theirs.precision_score, theirs.recall_score)
    ]
    assert scores(rows, labels)[:3] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["IOB1", "IOB2", "IOBES"])
def test_strict_spans_are_those_of_seqeval(seed: int, name: str) -> None:
    theirs = pytest.importorskip("seqeval.scheme")
    own = {"IOB1": IOB1, "IOB2": IOB2, "IOBES": BIOES}[name]
    for guessed, wanted in drawn(ALL if name == "IOBES" else IOB, seed):
        for tags in (guessed, wanted):
            entities = theirs.Tokens(tags, getattr(theirs, name)).entities
            assert list(own.spans(tags)) == [(e.tag, e.start, e.end) for e in entities]


@pytest.mark.parametrize(("kept", "scheme"), [("IOB2", IOB2), ("IOB1", IOB1), ("IOBES", BIOES)])
def test_the_scheme_is_the_one_that_the_targets_keep_to(kept: str, scheme: object) -> None:
    words = {
        "IOB2": ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"],
        "IOB1": ["I-PER", "I-PER", "O", "I-LOC", "B-LOC"],
        "IOBES": ["B-PER", "E-PER", "O", "S-LOC", "S-LOC"],
    }[kept]
    labels = sorted({*words})
    broken = [*words[:3], words[4], words[0]]
    wanted = scheme.spans(words), scheme.spans(broken)  # type: ignore[attr-defined]
    right, found = map(set, wanted)
    f1 = 2 * len(right & found) / (len(right) + len(found))
    assert scores([(broken, words)], labels)[3] == pytest.approx(f1)
    assert scores([(words, words)], labels) == [1, 1, 1, 1]


def test_which_tags_mark_spans() -> None:
    assert marks_spans(IOB)
    assert marks_spans(["B-PER", "O"])
    assert not marks_spans(["O"])
    assert not marks_spans(["function", "class"])
    assert not marks_spans(["B-PER", "Z-PER"])
