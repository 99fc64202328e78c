from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightning_transformer.build import load_run
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.models.base import Transformer
from tests.unit.generate.folders import make_run
from tests.unit.tasks.predicting import written

SOURCES = ("a longer one", "b", "", "über", "the 5th of these sources", "c d")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    return load_run(make_run(tmp_path_factory.mktemp("runs") / "s2s", "seq2seq")).double()


def answers(model: Transformer, *texts: Any, **options: Any) -> tuple[list[str], str]:
    text, remarks = written(model, *texts, **options)
    assert text.endswith("\n")
    return text.split("\n")[:-1], remarks


def by_hand(model: Transformer, source: str) -> str:
    words = model.task.vocabulary
    row = np.append(words.encode(source)[:16], words.eos_id)
    said = generate_tokens(model, [row], max_new_tokens=12)[0]
    return " ".join(words.decode(said).splitlines())


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_one_line_per_source_in_their_order(model: Transformer, batch_size: int) -> None:
    lines, remarks = answers(model, SOURCES * 7, batch_size=batch_size, max_new_tokens=12)
    expected = [by_hand(model, source) if source else "" for source in SOURCES]
    assert len(set(expected)) == len(SOURCES)
    assert lines == expected * 7
    assert remarks.startswith("source 5: 24 tokens; the model reads only the first 16\n")
    assert remarks.count("\n") == 7


def test_sampling_does_not_depend_on_the_batch(model: Transformer) -> None:
    def said(batch_size: int, sources: tuple[str, ...] = SOURCES) -> list[str]:
        options = {"max_new_tokens": 12, "temperature": 1.0, "seed": 3}
        return answers(model, sources, batch_size=batch_size, **options)[0]

    assert said(32) == said(1)
    assert said(32)[:1] == said(32, SOURCES[:1])
    twice = said(32, ("b", "b"))
    assert twice[0] != twice[1]


def test_several_samples_of_a_source_are_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="--n-samples has no effect: a source gets one line"):
        answers(model, SOURCES, n_samples=2, given=frozenset(["--n-samples"]))


def test_a_cut_without_a_temperature_is_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="top_k=5 has no effect on greedy decoding"):
        answers(model, SOURCES, top_k=5)


def test_no_source_is_an_error(model: Transformer) -> None:
    with pytest.raises(ValueError, match="nothing to read"):
        answers(model)
