"""task=span_corruption."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_transformer.data.examples import Tokens
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.span_corruption import (
    SpanCorruption,
    corrupt,
    fill,
    hidden_spans,
    span_counts,
)
from tests.conftest import tiny

MARKS = np.arange(1000, 1100)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny("model=encoder_decoder", "task=span_corruption", "data.seq_len=32")


def test_the_example_of_the_paper() -> None:
    """Raffel et al. 2020, figure 2: "for inviting" and "last" are left out."""
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week"]
    hidden = np.isin(words, ["for", "inviting", "last"])
    source, target = corrupt(np.arange(len(words)), hidden, MARKS)

    def shown(ids: np.ndarray) -> str:
        return " ".join(f"<{'XYZ'[i - 1000]}>" if i >= 1000 else words[i] for i in ids)

    assert shown(source) == "Thank you <X> me to your party <Y> week"
    assert shown(target) == "<X> for inviting <Y> last <Z>"


def reference(ids: list[int], hidden: list[bool]) -> tuple[list[int], list[int]]:
    """Both sides token by token; in the target what is seen stands as a mark."""

    def side(gone: list[bool]) -> list[int]:
        out, mark = [], 1000
        for i, token in enumerate(ids):
            if not gone[i]:
                out.append(token)
            elif i == 0 or not gone[i - 1]:
                out.append(mark)
                mark += 1
        return out

    return side(hidden), side([not h for h in hidden])


@given(st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=30))
def test_both_sides_rebuild_the_text(tokens: list[tuple[int, bool]]) -> None:
    ids, hidden = np.array([t for t, _ in tokens]), np.array([h for _, h in tokens])
    hidden[0] = False  # as T5 draws it
    source, target = corrupt(ids, hidden, MARKS)
    assert (source.tolist(), target.tolist()) == reference(ids.tolist(), hidden.tolist())
    assert np.array_equal(fill(source, target, MARKS)[0], ids)
    assert fill(source, target, MARKS)[1] == 0


def test_a_mark_without_text_stays() -> None:
    source = np.array([1, 1000, 2, 1001])
    filled, n_open = fill(source, np.array([1000, 7, 8]), MARKS)
    assert filled.tolist() == [1, 7, 8, 2, 1001]
    assert n_open == 1


@pytest.mark.parametrize(("rate", "mean"), [(0.15, 3.0), (0.5, 3.0), (0.15, 1.0), (0.3, 10.0)])
def test_density_and_mean_length_are_as_asked(rate: float, mean: float) -> None:
    """By T5's counts: round(512 rate) hidden tokens in round(that / mean) spans, in every row."""
    n = 512
    n_hidden = round(n * rate)
    starts = np.zeros(n)
    for seed in range(400):
        hidden = hidden_spans(n, rate, mean, np.random.default_rng(seed))
        runs = [(k, len(list(g))) for k, g in itertools.groupby(hidden.tolist())]
        lengths = [length for is_hidden, length in runs if is_hidden]
        assert sum(lengths) == n_hidden
        assert len(lengths) == min(round(n_hidden / mean), n - n_hidden)
        assert not runs[0][0]
        assert runs[-1][0]
        starts += hidden
    # Every place is hidden about as often, but for those near the ends.
    middle = starts[50:-50] / 400
    assert middle.mean() == pytest.approx(rate, abs=0.03)


def test_lengths_of_four_in_two_parts_are_equally_likely() -> None:
    found = []
    for seed in range(3000):
        hidden = hidden_spans(8, 0.5, 2.0, np.random.default_rng(seed))
        found.append(next(len(list(g)) for k, g in itertools.groupby(hidden.tolist()) if k))
    counts = np.bincount(found)[1:]
    assert len(counts) == 3
    assert np.abs(counts / 3000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 3000)


def test_small_rows() -> None:
    assert span_counts(1, 0.15, 3.0) == (0, 0)
    assert span_counts(2, 0.15, 3.0) == (1, 1)
    assert span_counts(4, 0.99, 1.0) == (3, 1)
    assert not hidden_spans(1, 0.15, 3.0, np.random.default_rng(0)).any()


def test_a_batch_by_hand_and_no_end_of_document_is_hidden(model: Any) -> None:
    words, collate = model.task.vocabulary, model.task.collator("train")
    ids = words.encode("abcdefghijklmnopqrstuvwxyzabcdefg").astype(np.int64)
    ids[::4] = words.eos_id
    for draw in range(50):
        batch = collate([Tokens(ids)], [draw])
        source, labels = batch.source_ids[0].numpy(), batch.labels[0].numpy()
        assert source[-1] == labels[-1] == words.eos_id
        assert (labels[:-1] != words.eos_id).all()
        assert batch.input_ids[0, 0] == words.bos_id
        assert (batch.input_ids[0, 1:].numpy() == labels[:-1]).all()
        whole, n_open = fill(source[:-1], labels[:-1], words.mark_ids)
        assert whole.tolist() == ids[:-1].tolist(), "the last token belongs to the next row"
        assert n_open == 0
        assert int(batch.n_targets) == len(labels)
        assert batch.n_tokens == len(source) + len(labels)
        assert batch.input_ids.shape[1] <= model.max_len


def test_spans_follow_from_the_draw_alone(model: Any) -> None:
    rows, collate = [Tokens(np.arange(33) + i) for i in (0, 50)], model.task.collator("train")
    first, again, other = collate(rows, [5, 6]), collate(rows, [5, 6]), collate(rows, [7, 8])
    assert torch.equal(first.source_ids, again.source_ids)
    assert not torch.equal(first.source_ids, other.source_ids)
    assert torch.equal(collate(rows[1:], [6]).source_ids[0], first.source_ids[1])


def test_the_vocabulary_is_larger_by_the_marks(model: Any) -> None:
    words = model.task.vocabulary
    assert words.size == 256 + 6 + 100
    assert model.embedding.num_embeddings == model.task.head.weight.shape[0] == words.size
    assert words.decode([97, words.mark_ids[1], 98]) == "a<extra_id_1>b"


def test_filling_puts_the_output_where_the_marks_are(model: Any) -> None:
    """An output that a head is forced to: <extra_id_0> x <extra_id_1> yz END."""
    words = model.task.vocabulary
    wanted = [words.mark_ids[0], 120, words.mark_ids[1], 121, 122, words.eos_id]

    class Forced:
        max_len, slides, device, task = model.max_len, False, model.device, model.task

        def begin(self, rows: Any) -> Any:
            self.read = [row.tolist() for row in rows]
            return model.begin(rows)

        def decode(self, ids: Any, state: Any, padding: Any) -> Any:
            model.decode(ids, state, padding)
            place = state.cache.length - 1
            out = torch.zeros(len(ids), 1, model.task.head.weight.shape[1], dtype=torch.float64)
            out[..., :] = model.task.head.weight[wanted[place]] * 1e4
            return out

    forced, remarks = Forced(), []
    asked = PredictOptions(remark=remarks.append)
    (found,) = model.task.predict(forced, ["a[MASK]b[MASK]c[MASK]"], asked)
    assert found.result() == "axbyzc[MASK]"
    assert remarks == ["prompt 1: the model left 1 [MASK] open"]
    (row,) = forced.read
    assert row == [
        97,
        words.mark_ids[0],
        98,
        words.mark_ids[1],
        99,
        words.mark_ids[2],
        words.eos_id,
    ]


def test_what_cannot_be_filled_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"prompt 2 has no \[MASK\]"):
        list(model.task.predict(model, ["a[MASK]", "b"], PredictOptions()))
    with pytest.raises(ValueError, match=r"prompt 1 has 101 \[MASK\]"):
        list(model.task.predict(model, ["[MASK]" * 101], PredictOptions()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask_rate": 0.0}, "mask_rate=0.0 must"),
        ({"mask_rate": 1.0}, "mask_rate=1.0 must"),
        ({"mean_span_length": 0.5}, "mean_span_length=0.5 must be >= 1"),
        ({"n_marks": 6}, "n_marks=6 must be above the 6 spans .* for example 7"),
        ({"max_len": 1}, "max_len=1 must"),
    ],
)
def test_impossible_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpanCorruption(loss=CrossEntropy(), **{"max_len": 128, **given})
