"""The three questions of benchmarks, against full passes over each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.harness.language_model import (
    LanguageModel,
    ScoredRow,
    how_to_write,
    windows,
)
from lightning_transformer.tasks.base import Batch
from tests.conftest import tiny

# Weights large enough that the model says something; rows of 16 bytes, and 258 is the end token.
LOUD = ("tie_embeddings=false", "init=normal", "init.std=0.4", "init.embedding_std=1.0")
EOS = 258


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny(*LOUD)


@torch.no_grad()
def by_hand(model: Any, before: Sequence[int], text: bytes) -> float:
    """log p of bytes behind others, each from the last 16 tokens alone, one at a time."""
    known, total = list(before), 0.0
    for byte in text:
        ids = torch.tensor([known[-16:]])
        features = model.features(Batch(ids, ids, torch.tensor(1), ids.numel()))
        total += float(model.task.head(features[0, -1]).log_softmax(-1)[byte])
        known.append(byte)
    return total


def test_a_continuation_is_scored_behind_its_context(model: Any) -> None:
    asked = [("the cat", " sat"), ("", "a dog"), ("ab", "c"), ("the dog", " sat"), ("on", "")]
    found = LanguageModel(model, batch_size=2).loglikelihood(asked)
    for (context, continuation), (logprob, _) in zip(asked, found, strict=True):
        before = list(context.encode()) or [EOS]
        expected = by_hand(model, before, continuation.encode())
        assert logprob == pytest.approx(expected, abs=1e-9)
    assert found[4] == (0.0, True)
    assert found[0][0] < -1  # and not of nothing


def test_spaces_between_both_are_of_the_continuation(model: Any) -> None:
    asked = LanguageModel(model)
    assert asked.loglikelihood([("a b ", "c")]) == asked.loglikelihood([("a b", " c")])
    assert asked.n_tokens == 4


@torch.no_grad()
def test_a_row_that_is_too_long_loses_its_beginning(model: Any) -> None:
    context, continuation = "what was long ago and far away", " is gone"
    ((found, _),) = LanguageModel(model).loglikelihood([(context, continuation)])
    ids = torch.tensor([list((context + continuation).encode())[-17:]])
    features = model.features(Batch(ids[:, :-1], ids[:, :-1], torch.tensor(1), 16))
    scores = model.task.head(features[0]).log_softmax(-1)
    expected = sum(float(scores[i - 1, ids[0, i]]) for i in range(17 - len(continuation), 17))
    assert found == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="a continuation of 17 tokens: the model reads 16"):
        LanguageModel(model).loglikelihood([("a", "x" * 17)])


def test_greedy_is_what_the_model_writes(model: Any) -> None:
    for context in ("the", "a cat", "mat"):
        (ids,) = generate_tokens(
            model, [np.frombuffer(context.encode(), np.uint8)], max_new_tokens=4
        )
        row = torch.tensor([[*context.encode(), *ids]])
        other = row.clone()
        other[0, -1] = (other[0, -1] + 1) % 256
        rows = [ScoredRow(one[0].numpy(), len(ids)) for one in (row, other)]
        scored = LanguageModel(model)._score(rows)  # bytes that are no text cannot be asked for
        assert [greedy for _, greedy in scored] == [True, False]
        assert scored[0][0] > scored[1][0]


def test_windows_score_each_token_once() -> None:
    """The example of lm-eval's documentation: ten tokens and a start, four at a time."""
    found = list(windows(np.array([99, *range(10)]), 1, 4))
    assert [(row.ids.tolist(), row.n_scored) for row in found] == [
        ([99, 0, 1, 2, 3], 4),
        ([3, 4, 5, 6, 7], 4),
        ([5, 6, 7, 8, 9], 2),
    ]
    assert list(windows(np.array([99]), 1, 4)) == []
    assert [row.n_scored for row in windows(np.arange(5), 1, 4)] == [4]


def test_a_long_text_is_scored_from_the_start_of_a_document(model: Any) -> None:
    text = "the cat sat on the mat, and the dog lay beside it"  # 49 bytes: 16, 16, 16 and 1
    found = LanguageModel(model).loglikelihood_rolling([text, "ab", ""])
    raw = text.encode()
    expected = by_hand(model, [EOS], raw[:16]) + by_hand(model, raw[:48], raw[48:])
    for start in (16, 32):  # behind one token of the window before
        expected += by_hand(model, raw[start - 1 : start], raw[start : start + 16])
    assert found[0] == pytest.approx(expected, abs=1e-9)
    assert found[1] == pytest.approx(by_hand(model, [EOS], b"ab"), abs=1e-9)
    assert found[2] == 0.0


def test_texts_are_written_greedily_up_to_a_stop(model: Any) -> None:
    contexts = ["the cat", "a", "on the mat sat a dog that"]
    asked = LanguageModel(model, batch_size=2)
    whole = asked.generate_until([(context, {"max_gen_toks": 12}) for context in contexts])
    for context, text in zip(contexts, whole, strict=True):
        row = np.frombuffer(context.encode(), np.uint8)
        (ids,) = generate_tokens(model, [row], max_new_tokens=12)
        assert text == model.task.vocabulary.decode(ids)
        assert len(text) > 2
    stop = whole[0][2]
    (cut,) = asked.generate_until([(contexts[0], {"until": [stop], "max_gen_toks": 12})])
    assert cut == whole[0][: whole[0].index(stop)]


def test_options_without_effect_are_refused() -> None:
    assert how_to_write({}).max_new_tokens == 256
    assert how_to_write({"until": "\n", "do_sample": False, "temperature": 0.0}).until == ("\n",)
    for options, message in (
        ({"do_sample": True}, "written greedily"),
        ({"temperature": 0.7}, "written greedily"),
        ({"top_p": 0.9}, "generation_kwargs.top_p is not known here"),
        ({"max_gen_toks": 0}, "max_gen_toks=0 must be an integer >= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            how_to_write(options)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("model=encoder_decoder",), "gives no next token to a text"),
        (("model=encoder_only",), "gives no next token to a text"),
        (("pattern=prefix", "pattern.n_prefix=4"), "in both directions"),
    ],
)
def test_a_model_that_does_not_read_forward_is_refused(typed: Sequence[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LanguageModel(tiny(*typed))
