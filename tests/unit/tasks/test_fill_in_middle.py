"""task=fill_in_middle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_transformer.data.examples import Tokens
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks.fill_in_middle import (
    AROUND,
    IN_ORDER,
    MIDDLE,
    FillInMiddle,
    Specials,
    move_middle,
)
from lightning_transformer.tasks.predict import PredictOptions
from tests.conftest import tiny

PRE, SUF, MID, EOS = OF = Specials(900, 901, 902, 500)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny("model=decoder_only", "task=fill_in_middle", "data.seq_len=32")


def parts(text: list[int]) -> tuple[bool, list[int], list[int], list[int]]:
    """Whether a moved text is SPM, and its prefix, middle (with prefix if SPM) and suffix."""
    suffix, middle = text.index(SUF), text.index(MID)
    assert text[0] == PRE
    return suffix == 1, text[1:suffix], text[middle + 1 :], text[suffix + 1 : middle]


@given(
    st.lists(st.lists(st.integers(0, 400), max_size=30), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 2**31),
)
def test_parts_rebuild_each_text_but_for_its_last_tokens(
    texts: list[list[int]], ended: bool, spm_rate: float, draw: int
) -> None:
    row = [token for text in texts for token in (*text, EOS)]
    row = row if ended else row[:-1]
    ids = np.array(row, dtype=np.int64)
    moved, kinds = move_middle(ids, 500, 1.0, spm_rate, OF, draw)
    assert len(moved) == len(kinds) == len(ids)
    start = 0
    for number, text in enumerate(texts):
        n, last = len(text), number == len(texts) - 1 and not ended
        found, kind = moved[start : start + n].tolist(), kinds[start : start + n + 1].tolist()
        cost = 4 if last else 3
        if n <= cost:
            assert found == text
            assert set(kind[:n]) <= {IN_ORDER}
        else:
            if last:
                assert found.pop() == EOS
            is_spm, prefix, middle, suffix = parts(found)
            if spm_rate in (0.0, 1.0):
                assert is_spm == bool(spm_rate) or (not spm_rate and not prefix)
            assert prefix + middle + suffix == text[: n - cost]
            assert kind[-1] == MIDDLE, "the end is written behind the middle"
            assert kind == sorted(kind)
            assert kind.count(AROUND) >= 3
        if not last:
            assert moved[start + n] == EOS
        start += n + 1


def test_rates_of_cut_texts_and_of_their_order() -> None:
    ids, n = np.arange(100), 4000
    rows = [move_middle(ids, 500, 0.5, 0.25, OF, draw)[0].tolist() for draw in range(n)]
    cut = [row for row in rows if PRE in row]
    assert abs(len(cut) / n - 0.5) < 3 * math.sqrt(0.25 / n)
    # An empty prefix in the order PSM, one time in 49, looks like SPM.
    spm = sum(parts(row[:-1])[0] and parts(row[:-1])[2][:1] == [0] for row in cut) / len(cut)
    assert abs(spm - 0.25) < 3 * math.sqrt(0.1875 / len(cut)) + 1 / 49
    sizes = [len(parts(row[:-1])[2]) for row in cut if not parts(row[:-1])[0]]
    assert np.mean(sizes) == pytest.approx(96 / 3, abs=4 * 23 / math.sqrt(len(sizes)))


def test_kinds_by_hand() -> None:
    for draw in range(200):
        row, kinds = move_middle(np.arange(10), 500, 1.0, 1.0, OF, draw)
        middle = row[kinds == MIDDLE].tolist()
        assert middle[-1] == EOS
        before = row[kinds == AROUND].tolist()
        assert before[:2] == [PRE, SUF]
        suffix, prefix = before[2 : before.index(MID)], before[before.index(MID) + 1 :]
        assert prefix + middle[:-1] + suffix == list(range(6))


def test_rate_0_trains_as_causal_lm_does(model: Any) -> None:
    never = tiny("model=decoder_only", "task=fill_in_middle", "task.rate=0", "data.seq_len=32")
    causal = tiny("model=decoder_only", "task=causal_lm", "data.seq_len=32")
    rows = [Tokens(np.arange(33, dtype=np.int32), np.arange(33) // 10) for _ in range(6)]
    plain = causal.task.collator("train")(rows, [*range(6)])
    same = never.task.collator("train")(rows, [*range(6)])
    assert torch.equal(same.labels, plain.labels)
    assert torch.equal(same.documents, plain.documents)
    assert int(same.n_targets) == int(plain.n_targets)
    # In evaluation its targets are those of any other rate, so that runs can be compared.
    mine, theirs = (task.collator("val")(rows, [*range(6)]) for task in (never.task, model.task))
    assert torch.equal(mine.input_ids, theirs.input_ids)
    assert torch.equal(mine.labels, theirs.labels)
    assert torch.equal(mine.further_labels, theirs.further_labels)


def test_documents_keep_their_numbers_and_own_their_parts(model: Any) -> None:
    """Of two documents in a row, none holds a token of the other."""
    words = model.task.vocabulary
    text = np.concatenate(([words.eos_id], np.full(14, 97), [words.eos_id], np.full(17, 98)))
    numbers = np.repeat([0, 1], [15, 18])
    batch = model.task.collator("train")([Tokens(text, numbers)] * 40, [*range(40)])
    assert torch.equal(batch.documents, torch.from_numpy(numbers[:-1]).expand(40, -1))
    first, second = batch.input_ids[:, :15], batch.input_ids[:, 15:]
    assert not (first == 98).any()
    assert not (second == 97).any()
    assert (batch.input_ids == words.mark_ids[0]).any()


def test_losses_of_both_kinds_by_hand(model: Any) -> None:
    """loss is of texts in order, middle_loss of middles and their ends; by a loop over tokens."""
    words, rows = (
        model.task.vocabulary,
        [Tokens(np.arange(33, dtype=np.int32) + i) for i in range(12)],
    )
    batch = model.task.collator("val")(rows, [*range(12)])
    with torch.no_grad():
        features = model.features(batch)
        log_p = model.task.head(features).log_softmax(dim=-1)
    in_order: list[float] = []
    middles: list[float] = []
    for i, row in enumerate(rows):
        ids = batch.input_ids[i].tolist()
        if words.mark_ids[0] in ids:
            moved, kinds = move_middle(
                row.ids.astype(np.int64), words.n_text, 0.5, 0.5,
                Specials(*words.mark_ids.tolist(), words.eos_id), i,
            )  # fmt: skip
            assert ids == moved[:-1].tolist()
            at = [t for t in range(32) if kinds[t + 1] == MIDDLE]
            middles += [-float(log_p[i, t, moved[t + 1]]) for t in at]
        else:
            in_order += [-float(log_p[i, t, row.ids[t + 1]]) for t in range(32)]
    assert in_order
    assert middles
    metrics = nn.ModuleDict(model.task.metrics())
    model.task.update(metrics, features, batch)
    found = model.task.compute(metrics)
    assert list(found) == model.task.metric_names()
    assert float(found["loss"]) == pytest.approx(np.mean(in_order), rel=1e-12)
    assert float(found["middle_loss"]) == pytest.approx(np.mean(middles), rel=1e-12)
    assert float(found["bits_per_byte"]) == pytest.approx(np.mean(in_order) / math.log(2))


@pytest.mark.parametrize("spm_rate", [0.0, 1.0])
def test_a_gap_is_filled_and_the_rest_is_kept(spm_rate: float) -> None:
    model: Any = tiny(
        "model=decoder_only", "task=fill_in_middle", f"task.spm_rate={spm_rate}", "data.seq_len=32"
    )
    asked = PredictOptions(temperature=0.0, max_new_tokens=5)
    (found,) = model.task.predict(model, ["abc[MASK]xyz"], asked)
    text = found.result()
    assert text.startswith("abc")
    assert text.endswith("xyz")
    # As the whole pass says it: the likeliest text behind the marks and both sides.
    words = model.task.vocabulary
    pre, suf, mid = words.mark_ids.tolist()
    row = [pre, suf, *b"xyz", mid, *b"abc"] if spm_rate else [pre, *b"abc", suf, *b"xyz", mid]
    n_read = len(row)
    for _ in range(5):
        ids = torch.tensor([row])
        batch = model.task.collator("train")([Tokens(np.array([*row, 0]))], [0])
        scores = model.task.head(model.features(batch._replace(input_ids=ids)))[0, -1]
        row.append(int(torch.cat([scores[:256], scores[words.eos_id][None]]).argmax()))
        if row[-1] == 256:
            break
    expected = words.decode([i for i in row[n_read:] if i < 256])
    assert text == f"abc{expected}xyz"


def test_long_texts_are_read_around_the_gap(model: Any) -> None:
    remarks: list[str] = []
    asked = PredictOptions(temperature=0.0, max_new_tokens=50, remark=remarks.append)
    text = "a" * 100 + "[MASK]" + "b" * 5
    (found,) = model.task.predict(model, [text], asked)
    assert found.result().startswith("a" * 100)
    assert "reads the 16 tokens before [MASK] and the 5 behind it" in remarks[0]


def test_samples_differ_and_several_gaps_are_refused(model: Any) -> None:
    asked = PredictOptions(n_samples=3, max_new_tokens=8, seed=1)
    found = [p.result() for p in model.task.predict(model, ["ab[MASK]yz"], asked)]
    assert len(set(found)) > 1
    with pytest.raises(ValueError, match=r"prompt 1 has 2 \[MASK\]"):
        list(model.task.predict(model, ["[MASK]a[MASK]"], PredictOptions()))
    asked = PredictOptions(n_samples=2, temperature=0.0)
    with pytest.raises(ValueError, match="n_samples=2 greedy samples"):
        list(model.task.predict(model, ["[MASK]a"], asked))


@pytest.mark.parametrize(("key", "value"), [("rate", 1.5), ("spm_rate", -0.1), ("max_len", 7)])
def test_impossible_options_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{key}={value} must"):
        FillInMiddle(loss=CrossEntropy(), **{"max_len": 32, key: value})  # type: ignore[arg-type]


def test_a_pattern_with_a_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="use task=causal_lm or pattern=full"):
        tiny("model=decoder_only", "task=fill_in_middle", "pattern=prefix", "pattern.n_prefix=4")
