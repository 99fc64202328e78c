"""The character n-gram F-score."""

import random

import pytest

from lightning_transformer.tasks.metrics.chrf import ChrF


def score(outputs: list[str], targets: list[str]) -> float:
    metric = ChrF()
    metric.update(outputs, targets)
    return float(metric.compute())


def text(chosen: random.Random, longest: int) -> str:
    letters = "abcdeé \t.\U0001f600"
    return "".join(chosen.choices(letters, k=chosen.randint(0, longest)))


@pytest.mark.parametrize("longest", [2, 5, 8, 40])
@pytest.mark.parametrize("seed", range(5))
def test_equals_sacrebleu(seed: int, longest: int) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    chosen = random.Random(seed)
    outputs = [text(chosen, longest) for _ in range(6)]
    targets = [text(chosen, 2 * longest) for _ in range(6)]
    wanted = sacrebleu.CHRF(word_order=0).corpus_score(outputs, [targets]).score
    assert score(outputs, targets) == pytest.approx(wanted, abs=1e-4)


def test_by_hand() -> None:
    # n = 1: 2 of 2 and 2 of 3; n = 2: 1 of 1 and 1 of 2; longer ones are missing on one side.
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    wanted = 100 * 5 * precision * recall / (4 * precision + recall)
    assert score(["ab"], ["abc"]) == pytest.approx(wanted, abs=1e-4)


def test_limits() -> None:
    assert score(["the same text"], ["the same text"]) == pytest.approx(100)
    assert score(["abc"], ["xyz"]) == 0
    assert score([""], ["xyz"]) == 0
    assert score(["a"], [""]) == 0


def test_parts_add_up_to_the_whole() -> None:
    outputs, targets = ["abcdef", "x", "ab cd"], ["abcxef", "xy", "abcd"]
    metric = ChrF()
    metric.update(outputs[:1], targets[:1])
    metric.update(outputs[1:], targets[1:])
    assert float(metric.compute()) == score(outputs, targets)


def test_has_the_name_and_signature_of_sacrebleu() -> None:
    assert ChrF.signature().startswith("chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|versi")
