"""ROUGE, by hand, by another way to count, and against rouge-score where it is installed."""

from __future__ import annotations

import itertools

import pytest

from lightning_transformer.tasks.metrics.rouge import Rouge, longest_common
from tests.unit.tasks.metrics.texts import sentences


def score(n: int, outputs: list[str], targets: list[str]) -> float:
    metric = Rouge(n)
    metric.update(outputs, targets)
    return float(metric.compute())


def test_by_hand() -> None:
    # words: 3 of 4 shared; pairs: "the cat" alone of 3 and 3; in order: "the cat .. sat".
    outputs, targets = ["The cat, she sat"], ["the CAT sat down"]
    assert score(1, outputs, targets) == pytest.approx(100 * 2 * 3 / 8)
    assert score(2, outputs, targets) == pytest.approx(100 * 2 * 1 / 6)
    assert score(0, outputs, targets) == pytest.approx(100 * 2 * 3 / 8)
    assert score(0, ["b a"], ["a b"]) == pytest.approx(50)


def test_a_repeated_word_counts_as_often_as_in_both() -> None:
    assert score(1, ["a a a"], ["a a b"]) == pytest.approx(100 * 2 * 2 / 6)


def test_nothing_shared_is_0_and_the_mean_is_over_pairs() -> None:
    assert score(1, ["", "a", "a"], ["a", "", "a"]) == pytest.approx(100 / 3)
    assert score(2, ["a"], ["a"]) == 0  # too short for a pair


@pytest.mark.parametrize("seed", range(4))
def test_the_longest_common_subsequence_is_that_of_trying_all(seed: int) -> None:
    one, other = (
        text.split()[:9] for text in (sentences(5, seed)[0][-1], sentences(5, seed)[1][0])
    )
    tried = {kept for n in range(len(one) + 1) for kept in itertools.combinations(one, n)}
    of_other = {kept for n in range(len(other) + 1) for kept in itertools.combinations(other, n)}
    assert longest_common(one, other) == max(map(len, tried & of_other))


def test_equals_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    outputs, targets = sentences(60, 3)
    for n, name in ((1, "rouge1"), (2, "rouge2"), (0, "rougeL")):
        theirs = scorer.RougeScorer([name])
        each = [theirs.score(t, o)[name].fmeasure for o, t in zip(outputs, targets, strict=True)]
        wanted = 100 * sum(each) / len(each)
        assert score(n, outputs, targets) == pytest.approx(wanted, abs=1e-6)
