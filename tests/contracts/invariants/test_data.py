"""Invariants 26, 30 to 34, 43: which examples, in which order, as which tokens."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.data.loading.eval_loader import EvaluationLoader
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.split import ExampleList
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks import continuations
from lightning_transformer.tasks.base import IGNORE
from lightning_transformer.tasks.masked_lm import MaskTokens
from lightning_transformer.tasks.metrics.exact_sum import exact_sum
from tests.conftest import tiny
from tests.contracts.invariants.setting import on_rank
from tests.helpers.short_runs import short_run
from tests.unit.tasks.drawn import examples

# -- sampling -------------------------------------------------------------------------------------


def numbered(n: int, length: int = 3) -> ExampleList:
    """Example i is i, i, i."""
    return ExampleList([Tokens(np.full(length, i)) for i in range(n)], n_tokens=length * n)


def seen(loader: Any, n_steps: int) -> list[list[int]]:
    """The numbers of the examples of each micro-batch."""
    return [batch.input_ids[:, 0].tolist() for batch in itertools.islice(loader, n_steps)]


def loader(n: int, **given: Any) -> StepLoader:
    collate = tiny().task.collator("train")
    return StepLoader(numbered(n), collate, **{"seed": 3, "batch_size": 6, **given})


def test_invariant_26_uneven_split_over_two_ranks() -> None:
    """N = 21 on two ranks: each example once, and the metric is that of one process."""
    model: Any = tiny()
    collate = model.task.collator("val")
    split = ExampleList(examples(Tokens, 21, seed=2), n_tokens=0)

    def evaluated(world_size: int, batch_size: int) -> tuple[dict[str, float], int]:
        totals = dict.fromkeys(model.task.metrics(), 0.0)
        counts = dict.fromkeys(totals, 0)
        for rank in range(world_size):
            model._fresh_metrics("val")
            given = {
                "seed": 1,
                "batch_size": batch_size,
                "rank": rank,
                "world_size": world_size,
            }
            for batch in EvaluationLoader(split, collate, **given):
                with torch.no_grad():
                    model._evaluate(batch, "val")
            for name, metric in model.evaluation.items():
                totals[name] += exact_sum(metric.totals)
                counts[name] += int(metric.count)
        return {name: totals[name] / counts[name] for name in totals}, counts["loss"]

    whole, n_targets = evaluated(1, 21)
    assert n_targets == sum(len(example.ids) - 1 for example in split.examples)
    for world_size, batch_size in ((2, 4), (2, 21), (3, 5)):
        values, counted = evaluated(world_size, batch_size)
        assert counted == n_targets
        assert values == pytest.approx(whole, rel=1e-12)


def test_invariant_30_epochs_are_shuffled_anew_and_every_example_comes_once() -> None:
    """Also where steps do not end where epochs do; the seed alone decides the order."""
    n = 15
    stream = [i for step in seen(loader(n), 15) for i in step]
    epochs = [stream[i : i + n] for i in range(0, len(stream), n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs) == 6
    assert [i for step in seen(loader(n), 15) for i in step] == stream
    assert [i for step in seen(loader(n, seed=4), 15) for i in step] != stream


@pytest.mark.parametrize("n_workers", [0, 2])
def test_invariant_30_ranks_are_disjoint_and_cover_and_workers_do_not_repeat(
    n_workers: int,
) -> None:
    n, n_steps = 15, 5
    whole = seen(loader(n), n_steps)
    parts = [
        seen(loader(n, rank=rank, world_size=3, num_workers=n_workers), n_steps)
        for rank in range(3)
    ]
    for step in range(n_steps):
        assert [i for part in parts for i in part[step]] == whole[step]


def test_invariant_31_random_numbers_differ_by_example_epoch_and_worker() -> None:
    """What a worker draws follows from seed, epoch and example; not from which worker it is."""

    def masks(n_workers: int, seed: int = 3) -> list[Tensor]:
        collate = tiny("model=encoder_only").task.collator("train")
        rows = ExampleList([Tokens(np.full(65, 97 + i)) for i in range(6)], n_tokens=1)
        made = StepLoader(rows, collate, seed=seed, batch_size=6, num_workers=n_workers)
        steps = itertools.islice(made, 4)  # an epoch each
        return [step.labels[step.labels.amax(1).argsort()] != IGNORE for step in steps]

    alone = masks(0)
    assert all(torch.equal(a, b) for a, b in zip(alone, masks(2), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(alone, masks(0, seed=4), strict=True))
    rows = torch.cat(alone)
    assert len(rows.unique(dim=0)) == len(rows) == 24


# -- tokens ---------------------------------------------------------------------------------------

SPELLED = ["<pad>", "[MASK]", "<s>", "</s>", "<unk>", "[CLS]", "<|endoftext|>"]
TRAINED = BPE(vocab_size=300).train(["the cat sat on the mat " * 20, " ".join(SPELLED)])


@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.text() | st.sampled_from(SPELLED), max_size=6).map("".join))
@pytest.mark.parametrize("words", [Bytes().train([]), TRAINED], ids=["bytes", "bpe"])
def test_invariant_32_round_trip(words: Vocabulary, text: str) -> None:
    """Any text comes back; no text makes a special token; every byte is counted."""
    ids = words.encode(text)
    assert words.decode(ids) == text
    assert not len(ids) or ids.max() < words.n_text
    assert words.id_bytes[ids].sum() == len(text.encode())


def test_invariant_33_scores_of_text_are_sacrebleus_and_on_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """chrF is computed on decoded words, whatever the subwords, and equals sacrebleu's chrF2."""
    model = on_rank(tiny("model=encoder_decoder"))
    task, wanted = (
        model.task,
        ["The cat sat.", "A mat, on a café.", "It did not see it."],
    )
    said = ["The cat sat", "a mat on a cafe .", "It did not. see"]
    sources = [text.lower() for text in wanted]
    scores = []
    for words in (Bytes().train([]), BPE(vocab_size=280).train(wanted * 3)):
        task.vocabulary = words
        pairs = [
            Pair(words.encode(source), words.encode(target))
            for source, target in zip(sources, wanted, strict=True)
        ]
        batch = task.collator("val")(pairs, [0] * 3)

        def generate_tokens(
            model: Any, sources: Any, words: Any = words, **given: Any
        ) -> list[Any]:
            return [words.encode(text) for text in said]

        metrics = nn.ModuleDict(task.metrics())
        monkeypatch.setattr(continuations, "generate_tokens", generate_tokens)
        task.generate_metrics(model, batch, metrics)
        scores.append({k: float(metrics[k].compute()) for k in ("chrf", "chrf_of_source")})
    assert scores[0] == scores[1]
    theirs = sacrebleu.CHRF(word_order=0)
    for key, texts in (("chrf", said), ("chrf_of_source", sources)):
        score = theirs.corpus_score(texts, [wanted]).score
        assert scores[0][key] == pytest.approx(score, abs=1e-4)
    assert "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no" in str(theirs.get_signature())


@pytest.mark.parametrize("task", ["masked_lm", "tagging"])
def test_invariant_33_accuracy_leaves_padding_out(task: str) -> None:
    """A model that is right on every real target and wrong elsewhere has accuracy 1."""
    model = tiny("model=encoder_only", f"task={task}")
    batch = model.task.collator("val")(examples(model.task.example, 5, seed=3), list(range(5)))
    n_classes = model.task.head.out_features
    labels = batch.labels.flatten()
    assert (labels == IGNORE).any()
    said = torch.where(labels == IGNORE, n_classes - 1, labels)
    metrics = nn.ModuleDict(model.task.metrics())
    scores = nn.functional.one_hot(said, n_classes).double()
    model.task.update_own(metrics, scores, labels, torch.zeros(()))
    assert float(metrics["accuracy"].compute()) == 1.0


def test_invariant_34_masking_rates() -> None:
    """15 % of a million tokens, of these 80/10/10, each within three standard deviations."""
    n_rows, length, rate = 1000, 1001, 0.15
    words = Bytes().train([])
    collate = MaskTokens(rate, words.mask_id, words.pad_id, words.n_text)
    draw = np.random.default_rng(0)
    rows = draw.integers(0, words.size, (n_rows, length))
    rows[:, ::50] = words.eos_id
    batch = collate([Tokens(row) for row in rows], list(range(n_rows)))
    original, labels = torch.from_numpy(rows[:, :-1]), batch.labels
    chosen, text = labels != IGNORE, original < words.n_text
    assert not chosen[~text].any(), "a special token is hidden"
    assert torch.equal(labels[chosen], original[chosen])
    assert torch.equal(batch.input_ids[~chosen], original[~chosen])

    def within(count: int, n: int, p: float) -> bool:
        return abs(count - n * p) < 3 * (n * p * (1 - p)) ** 0.5

    n_chosen, shown, was = int(chosen.sum()), batch.input_ids[chosen], original[chosen]
    assert within(n_chosen, int(text.sum()), rate)
    masked = shown == words.mask_id
    assert within(int(masked.sum()), n_chosen, 0.8)
    other = ~masked & (shown != was)
    # One in 256 of the random tokens is the token itself.
    assert within(int(other.sum()), n_chosen, 0.1 * 255 / 256)
    assert (shown[~masked] < words.n_text).all()
    again = collate([Tokens(row) for row in rows[:9]], list(range(9)))
    assert torch.equal(again.labels, labels[:9])
    elsewhere = collate([Tokens(row) for row in rows[:9]], list(range(100, 109)))
    assert not torch.equal(elsewhere.labels, labels[:9])


def test_invariant_43_variants_with_one_seed_see_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole runs of unlike models, cut unlike into micro-batches; another seed sees others."""
    step, found = Transformer.training_step, {}

    def watched(model: Any, batch: Any, batch_idx: int) -> Tensor:
        found.setdefault(name, []).extend(batch.input_ids.tolist())
        return step(model, batch, batch_idx)

    monkeypatch.setattr(Transformer, "training_step", watched)
    variants = {
        "base": (),
        "other": (
            "norm=layernorm",
            "position=learned",
            "model.n_layers=2",
            "optimizer=adamw",
        ),
        "cut": ("trainer.accumulate=4", "activation=gelu", "model.dropout=0.2"),
        "seed": ("seed=2",),
    }
    logged = {}
    for name, overrides in variants.items():
        logged[name] = short_run(tmp_path / name, *overrides).samples_sha256
    assert len(found["base"]) == 6 * 8
    assert found["base"] == found["other"] == found["cut"]
    assert logged["base"] == logged["other"] == logged["cut"] != logged["seed"]
    assert found["base"] != found["seed"]
