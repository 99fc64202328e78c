"""task=masked_lm."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.loading.eval_loader import EvaluationLoader
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.split import ExampleList
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks.masked_lm import MaskedLM, MaskTokens, text_ids
from lightning_transformer.tasks.masking.token import TokenMasking
from tests.conftest import options, tiny
from tests.unit.tasks.drawn import examples

N_TEXT, MASK, PAD, EOS = 50_000, 50_003, 50_000, 50_002
HIDE = MaskTokens(0.15, mask_id=MASK, pad_id=PAD, n_text=N_TEXT)


def test_rates_over_a_million_tokens() -> None:
    random = np.random.default_rng(0)
    rows = [random.integers(0, N_TEXT, 5001) for _ in range(200)]
    batch = HIDE([Tokens(row) for row in rows], list(range(200)))
    ids = torch.from_numpy(np.stack(rows))[:, :-1]
    chosen = batch.labels != -100
    n, n_chosen = ids.numel(), int(chosen.sum())
    assert n == 1_000_000

    def assert_rate(count: int, rate: float, of: int) -> None:
        assert abs(count / of - rate) < 3 * math.sqrt(rate * (1 - rate) / of)

    assert_rate(n_chosen, 0.15, n)
    masked = batch.input_ids == MASK
    kept = chosen & (batch.input_ids == ids)
    assert_rate(int(masked.sum()), 0.8, n_chosen)
    assert_rate(int(kept.sum()), 0.1 + 0.1 / N_TEXT, n_chosen)
    other = chosen & ~masked & ~kept
    assert_rate(int(other.sum()), 0.1, n_chosen)
    # The random tokens are text, spread evenly.
    drawn = batch.input_ids[other].double()
    assert int(drawn.max()) < N_TEXT
    assert abs(float(drawn.mean()) / N_TEXT - 0.5) < 3 * math.sqrt(1 / 12 / len(drawn))
    assert torch.equal(batch.labels[chosen], ids[chosen])
    assert torch.equal(batch.input_ids[~chosen], ids[~chosen])
    assert int(batch.n_targets) == n_chosen


def test_special_tokens_are_never_chosen() -> None:
    rows = [Tokens(np.array([EOS, 1, EOS, 2, PAD, EOS, 0])) for _ in range(500)]
    batch = MaskTokens(0.9, MASK, PAD, N_TEXT)(rows, list(range(500)))
    special = torch.tensor([True, False, True, False, True, True]).expand(500, 6)
    assert (batch.labels[special] == -100).all()
    assert (batch.input_ids[:, 0] == EOS).all()
    assert float((batch.labels[~special] != -100).float().mean()) > 0.8


def test_a_mask_follows_from_the_draw_alone() -> None:
    rows = [Tokens(np.arange(200)), Tokens(np.arange(200, 400))]
    first, again, other = HIDE(rows, [5, 6]), HIDE(rows, [5, 6]), HIDE(rows, [7, 8])
    assert torch.equal(first.input_ids, again.input_ids)
    assert not torch.equal(first.labels, other.labels)
    # ... and not from the neighbours in the batch.
    assert torch.equal(HIDE(rows[1:], [6]).input_ids, first.input_ids[1:])


def test_masks_are_new_each_epoch_and_the_same_in_each_evaluation() -> None:
    rows: Any = [Tokens(np.arange(100) + i) for i in range(4)]
    split = ExampleList(rows, 400)
    train = StepLoader(split, HIDE, seed=1, batch_size=4, accumulate=1)
    batches = iter(train)
    first, second = next(batches), next(batches)

    def by_row(batch: Any) -> dict[int, list[int]]:
        real = torch.where(batch.labels == -100, batch.input_ids, batch.labels)
        return {int(r[0]): m.tolist() for r, m in zip(real, batch.labels != -100, strict=True)}

    assert by_row(first).keys() == by_row(second).keys()
    assert all(by_row(first)[row] != by_row(second)[row] for row in by_row(first))
    val = EvaluationLoader(split, HIDE, seed=1, batch_size=3)
    runs = [[batch.input_ids.tolist() for batch in val] for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_last_token_belongs_to_the_next_row() -> None:
    batch = HIDE([Tokens(np.arange(5))], [0])
    assert batch.input_ids.shape == (1, 4)
    assert batch.n_tokens == 4


def test_short_rows_are_padded_and_documents_kept() -> None:
    rows = [Tokens(np.arange(5), np.array([0, 0, 1, 1, 1])), Tokens(np.arange(3), np.zeros(3))]
    batch = HIDE(rows, [0, 1])
    assert batch.padding.tolist() == [[False] * 4, [False, False, True, True]]
    assert batch.documents.tolist() == [[0, 0, 1, 1], [0, 0, -1, -1]]
    assert (batch.labels[1, 2:] == -100).all()
    assert (batch.input_ids[1, 2:] == PAD).all()


def test_pads_change_neither_loss_nor_gradients() -> None:
    model: Any = tiny("model=encoder_only", "task=masked_lm")
    batch = model.task.collator("train")(examples(Tokens, 4), [0, 1, 2, 3])
    assert batch.padding is not None

    def gradients(ids: torch.Tensor) -> list[torch.Tensor]:
        changed = batch._replace(input_ids=ids)
        loss = model.task(model.features(changed), changed).objective
        return [loss, *torch.autograd.grad(loss, list(model.encoder.parameters()))]

    other = batch.input_ids.masked_fill(batch.padding, 42)
    for a, b in zip(gradients(batch.input_ids), gradients(other), strict=True):
        assert torch.equal(a, b)


def test_accuracy_counts_hidden_tokens() -> None:
    task = MaskedLM(loss=CrossEntropy(), masking=TokenMasking())
    words = ByteVocabulary()
    task.build(
        d_model=words.size, vocabulary=words, labels=(), embedding=torch.nn.Embedding(262, 262)
    )
    torch.nn.init.eye_(task.head.weight)
    labels = torch.tensor([[5, -100, 7], [-100, 8, -100]])
    guesses = torch.tensor([[5, 1, 7], [1, 9, 1]])
    features = torch.nn.functional.one_hot(guesses, 262).float()
    batch = task.collator("val")(examples(Tokens, 2), [0, 1])
    batch = batch._replace(labels=labels, n_targets=torch.tensor(3))
    metrics = torch.nn.ModuleDict(task.metrics())
    with torch.no_grad():
        task.update(metrics, features, batch)
    assert float(task.compute(metrics)["accuracy"]) == pytest.approx(2 / 3)


def test_fill_replaces_masks_by_text_only() -> None:
    model: Any = tiny("model=encoder_only", "task=masked_lm")
    words = model.task.vocabulary
    ids = torch.tensor([[97, words.mask_id, 98, words.mask_id]])
    filled = model.task.fill(model, ids)
    assert filled[0, 0] == 97
    assert filled[0, 2] == 98
    assert int(filled.max()) < words.n_text


def test_samples_hide_and_restore() -> None:
    model: Any = tiny("model=encoder_only", "task=masked_lm", "task.mask_rate=0.5")
    (sample,) = model.task.demonstrate(model, [Tokens(np.full(12, 97))])
    assert "[MASK]" in sample.given
    assert "[MASK]" not in sample.output
    assert sample.expected == "a" * 12


def test_samples_do_not_hide_the_end_of_a_document() -> None:
    model: Any = tiny("model=encoder_only", "task=masked_lm", "task.mask_rate=0.9")
    eos = model.task.vocabulary.eos_id
    (sample,) = model.task.demonstrate(model, [Tokens(np.full(12, eos))])
    assert sample.given == sample.output == sample.expected == ""


def own_special_tokens() -> SubwordVocabulary:
    """A word-level vocabulary as of a file, in which most tokens are special ones of its own."""
    words = {f"[{name}]": i for i, name in enumerate(("PAD", "CLS", "SEP", "UNK", "X", "Y"))}
    words |= {"a": 6, "b": 7}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([name for name in words if name.startswith("[")])
    return SubwordVocabulary(tokenizer)


def test_special_tokens_of_a_file_are_neither_random_replacements_nor_guesses() -> None:
    words = own_special_tokens()
    assert text_ids(words).tolist() == [6, 7]
    task = MaskedLM(loss=CrossEntropy(), masking=TokenMasking(), mask_rate=0.9)
    task.build(d_model=8, vocabulary=words, labels=(), embedding=torch.nn.Embedding(words.size, 8))
    masks = task.collator("train")
    rows = [Tokens(np.full(65, 6)) for _ in range(20)]
    batch = masks(rows, range(20))
    assert set(batch.input_ids.unique().tolist()) == {6, 7, words.mask_id}
    special = [Tokens(np.array([0, 1, 2, 6, words.eos_id, 6]))]
    assert (masks(special, [3]).labels[0, [0, 1, 2, 4]] == -100).all()
    model = SimpleNamespace(features=lambda batch: torch.randn(*batch.input_ids.shape, 8))
    filled = task.fill(model, torch.full((4, 50), words.mask_id))
    assert set(filled.unique().tolist()) <= {6, 7}


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_refuses(rate: float) -> None:
    with pytest.raises(ValueError, match=r"^mask_rate=.* must be .*for example 0.15$"):
        MaskedLM(loss=CrossEntropy(), masking=TokenMasking(), mask_rate=rate)


@pytest.mark.parametrize("name", options("masking"))
def test_every_masking_hides_the_rate_in_the_shares_of_bert(name: str) -> None:
    """Over a text of words of three letters: 15 % hidden; of those 80 % [MASK], 10 % random."""
    task: Any = tiny("model=encoder_only", "task=masked_lm", f"masking={name}").task
    text = task.vocabulary.encode("abc def, " * 400)
    batch = task.collator("train")([Tokens(text)] * 100, [*range(100)])
    ids = torch.from_numpy(text.astype(np.int64))[:-1].expand(100, -1)
    chosen, n = batch.labels != -100, ids.numel()
    assert torch.equal(torch.where(chosen, batch.labels, ids), ids)
    assert torch.equal(batch.input_ids[~chosen], ids[~chosen])
    # Spans of up to ten words are drawn together: fewer draws than tokens.
    n_chosen, together = int(chosen.sum()), 20
    assert abs(n_chosen / n - 0.15) < 3 * math.sqrt(0.15 * 0.85 * together / n)
    masked = float((batch.input_ids[chosen] == task.vocabulary.mask_id).double().mean())
    same = float((batch.input_ids[chosen] == ids[chosen]).double().mean())
    assert abs(masked - 0.8) < 3 * math.sqrt(0.16 * together / n_chosen)
    assert abs(same - 0.1) < 3 * math.sqrt(0.09 * together / n_chosen) + 1 / 256


def test_a_span_shares_one_fate() -> None:
    task: Any = tiny("model=encoder_only", "task=masked_lm", "masking=span").task
    text = task.vocabulary.encode("abcdef " * 200)
    collate = task.collator("train")
    kinds = set()
    for draw in range(20):
        groups = collate.groups(text[:-1], np.random.default_rng(draw))
        batch = collate([Tokens(text)], [draw])
        for group in np.unique(groups[groups >= 0]):
            ids = batch.input_ids[0][torch.from_numpy(groups == group)]
            real = torch.from_numpy(text[:-1][groups == group].astype(np.int64))
            is_mask, stays = ids == task.vocabulary.mask_id, ids == real
            assert is_mask.all() or not is_mask.any()
            assert stays.all() or stays.float().mean() < 0.5  # by chance
            kinds |= {"mask" if is_mask.all() else "same" if stays.all() else "random"}
    assert kinds == {"mask", "same", "random"}
