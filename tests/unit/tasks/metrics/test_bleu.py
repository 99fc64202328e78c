"""Bleu of a corpus, against sacrebleu."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lightning_transformer.tasks.metrics.bleu import Bleu
from tests.unit.tasks.metrics.texts import command_line, sentences


def score(outputs: list[str], targets: list[str]) -> float:
    metric = Bleu()
    metric.update(outputs, targets)
    return float(metric.compute())


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_corpus_score_of_sacrebleu(seed: int) -> None:
    from sacrebleu.metrics import BLEU

    outputs, targets = sentences(1 + 7 * seed, seed)
    wanted = BLEU().corpus_score(outputs, [targets])
    assert score(outputs, targets) == pytest.approx(wanted.score, abs=1e-4)


def test_equals_the_command_line_and_has_its_signature(tmp_path: Path) -> None:
    outputs, targets = sentences(40, 1)
    theirs = command_line(outputs, targets, "bleu", tmp_path)
    assert score(outputs, targets) == pytest.approx(theirs["score"], abs=1e-4)
    assert Bleu.signature() == f"{theirs['name']}|{theirs['signature']}"


def test_parts_and_ranks_add_up_to_the_whole() -> None:
    outputs, targets = sentences(20, 2)
    metric, ranks = Bleu(), [Bleu(), Bleu()]
    metric.update(outputs[:13], targets[:13])
    metric.update(outputs[13:], targets[13:])
    for rank, part in enumerate(ranks):
        part.update(outputs[rank::2], targets[rank::2])
    whole = Bleu()
    whole.counts = torch.stack([part.counts for part in ranks]).sum(dim=0)
    whole._update_count = 1
    assert float(metric.compute()) == float(whole.compute()) == score(outputs, targets)


def test_empty_texts() -> None:
    from sacrebleu.metrics import BLEU

    for outputs, targets in (([""], ["a b"]), (["a b"], [""]), ([""], [""])):
        wanted = BLEU().corpus_score(outputs, [targets]).score
        assert score(outputs, targets) == pytest.approx(wanted, abs=1e-4)
