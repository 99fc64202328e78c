"""Texts that are scored in an evaluation: greedy ones, and those of a beam search."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Pair
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.tasks import continuations, seq2seq
from lightning_transformer.tasks.continuations import beams_to_score
from lightning_transformer.tasks.predict import PredictOptions
from tests.conftest import tiny
from tests.unit.models.test_base import in_training
from tests.unit.tasks.drawn import examples

LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
PAIRS = examples(Pair, 4, seed=3)
BEAMS = Beams(3, 2.0)
OPTIONS = ("task.n_beams=3", "task.length_penalty=2.0")


def ending(model: Any) -> Any:
    """The model, in an evaluation, with texts of which some end early."""
    with torch.no_grad():
        model.task.head.weight[model.task.vocabulary.eos_id] *= 2.0
    return in_training(model)


def limits(rows: Any) -> list[int]:
    """Fewer tokens than an evaluation gives, so that tests are quick."""
    return [5 + len(row) % 3 for row in rows]


@pytest.fixture(scope="module")
def model() -> Any:
    """An encoder-decoder whose texts are scored by three beams."""
    layers = ("model.n_encoder_layers=1", "model.n_decoder_layers=1")
    return ending(tiny("model=encoder_decoder", *layers, *LOUD, *OPTIONS))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seq2seq, "answer_limits", limits)


def sources(model: Any) -> list[Any]:
    return [model.task._read(pair.source) for pair in PAIRS]


def of_generate(model: Any, rows: Any, n_tokens: list[int], beams: Beams) -> list[list[int]]:
    """What the command writes for each row, one at a time."""
    found = []
    for row, n in zip(rows, n_tokens, strict=True):
        asked = PredictOptions(beams=beams, max_new_tokens=n)
        found.append(continuations.continuations(model, {0: row}, asked)[0][0].ids)
    return found


@pytest.mark.usefixtures("short")
def test_what_is_scored_is_what_generate_writes_with_the_same_beams(model: Any) -> None:
    chrf = pytest.importorskip("sacrebleu").CHRF(word_order=0)
    rows, decode = sources(model), model.task.vocabulary.decode
    wanted = of_generate(model, rows, limits(rows), BEAMS)
    assert model.task._answers(model, rows) == wanted  # together
    assert generate_tokens(model, rows, max_new_tokens=limits(rows)) != wanted
    assert of_generate(model, rows, limits(rows), Beams(3, 0.0)) != wanted
    lines = [" ".join(decode(ids).splitlines()) for ids in wanted]
    targets = [decode(pair.target) for pair in PAIRS]
    score = chrf.corpus_score(lines, [targets]).score
    for split, cuts in (("val", (0, 4)), ("test", (0, 1, 4))):
        metrics, collate = nn.ModuleDict(model.task.metrics()), model.task.collator(split)
        with torch.inference_mode():
            for first, last in itertools.pairwise(cuts):
                batch = collate(PAIRS[first:last], [0] * (last - first))
                model.task.generate_metrics(model, batch, metrics, split)
        assert float(metrics["chrf"].compute()) == pytest.approx(score, abs=1e-4)
    (sample,) = model.task.demonstrate(model, PAIRS[:1])
    assert sample.output == decode(wanted[0])


@pytest.mark.usefixtures("short")
def test_one_beam_is_greedy_output(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for the tokens of greedy decoding, once, and for no search."""
    rows, asked = sources(model), []

    def recorded(*given: Any, **options: Any) -> Any:
        asked.append((given, options))
        return generate_tokens(*given, **options)

    monkeypatch.setattr(continuations, "generate_tokens", recorded)
    monkeypatch.delattr(continuations, "beam_search")
    monkeypatch.setattr(model.task, "beams", beams_to_score(1, 1.0, 64))
    wanted = generate_tokens(model, rows, max_new_tokens=limits(rows))
    assert model.task._answers(model, rows) == wanted
    assert asked == [((model, rows), {"max_new_tokens": limits(rows)})]


def test_answers_that_are_rewarded_are_those_of_generate() -> None:
    short = ("model.n_layers=1", "task.max_new_tokens=5", "reward=length", "reward.target=3")
    model = ending(tiny("task=reward", *short, *LOUD, *OPTIONS))
    rows, task = [pair.source for pair in PAIRS], model.task
    # The end of the longest answer is a token more.
    wanted = [task.vocabulary.decode(ids[:5]) for ids in of_generate(model, rows, [6] * 4, BEAMS)]
    assert [sample.output for sample in task.demonstrate(model, PAIRS)] == wanted
    metrics, batch = nn.ModuleDict(task.metrics()), task.collator("val")(PAIRS, [0, 1, 2, 3])
    task.generate_metrics(model, batch, metrics)
    rewards = [max(0.0, 1 - abs(len(text) - 3) / 3) for text in wanted]
    assert float(metrics["reward"].compute()) == pytest.approx(sum(rewards) / len(rewards))


def test_options() -> None:
    assert beams_to_score(1, 1.0, 0) is None
    assert beams_to_score(2, -0.5, 1) == Beams(2, -0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0, 1.0, 64), "n_beams=0 must be at least 1, for example 4"),
        ((2.0, 1.0, 64), "n_beams=2.0 must be an integer of at least 1, for example 4"),
        ((4, float("nan"), 64), "length_penalty=nan must be a number"),
        ((1, 0.6, 64), "length_penalty=0.6 has no effect on greedy output, with n_beams=1"),
        ((4, 1.0, 0), "n_beams=4 has no effect on metrics: with n_generated=0 none is of written"),
    ],
)
def test_options_that_cannot_work(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        beams_to_score(*given)
    assert "\n" not in str(caught.value)
