"""Invariants 1 to 4, 20, 21, 27, 37: what a loss is divided by, what it reads, where it starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.tokenizers.characters import Characters
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks.base import IGNORE, Batch
from lightning_transformer.tasks.causal_lm import CausalLM
from tests.conftest import compose_config, noise, options, tiny
from tests.contracts.invariants.setting import (
    EXACT,
    TASKS,
    gradients,
    largest_difference,
    mean_loss,
    on_rank,
    ragged,
)
from tests.helpers.short_runs import difference, history, short_pairs, start
from tests.unit.models.test_training import optimizer_steps
from tests.unit.tasks.drawn import drawn_batch, examples

LETTERS = 26


def test_invariant_01_accumulation(tmp_path: Path) -> None:
    """Eight unequal pairs at once, or two at a time four times, are one and the same step."""
    plain_sgd = ("trainer.precision=64-true", "optimizer=sgd", "optimizer.lr=0.5")
    rows = []
    for accumulate in (1, 4):
        typed = short_pairs(tmp_path, *plain_sgd, f"trainer.accumulate={accumulate}")
        start(tmp_path / str(accumulate), typed)
        rows.append(history(tmp_path / str(accumulate)))
    assert difference(tmp_path / "1", tmp_path / "4") < EXACT
    for whole, cut in zip(*rows, strict=True):
        for name in ("train/loss", "optim/grad_norm"):
            assert float(cut[name]) == pytest.approx(float(whole[name]), rel=EXACT, abs=0)


@pytest.mark.parametrize("task", ["causal_lm", "masked_lm", "seq2seq", "tagging"])
def test_invariant_02_token_normalisation_over_ranks(task: str) -> None:
    """Two ranks with unequal targets and two micro-batches each; DDP takes the mean over ranks."""
    chosen = (f"model={TASKS[task]}", f"task={task}")
    whole = tiny(*chosen)
    rows = sorted(examples(whole.task.example, 8, seed=5), key=lambda example: len(example[0]))
    collate = whole.task.collator("train")
    parts = [collate(rows[i : i + 2], [i, i + 1]) for i in range(0, 8, 2)]
    total = sum(int(part.n_targets) for part in parts)
    mean_loss(whole, collate(rows, list(range(8)))).backward()
    ranks: list[list[Tensor]] = []
    for rank in range(2):
        model = on_rank(tiny(*chosen), accumulate=2, world_size=2, step_targets=total)
        mine = parts[2 * rank : 2 * rank + 2]
        own_targets = mine[0].n_targets + mine[1].n_targets
        assert int(own_targets) * 2 != total
        for number, part in enumerate(mine):
            # Lightning divides by the micro-batches.
            (model.training_step(part._replace(step_targets=own_targets), number) / 2).backward()
        ranks.append(gradients(model))
    averaged = [(a + b) / 2 for a, b in zip(*ranks, strict=True)]
    assert largest_difference(averaged, gradients(whole)) < EXACT


@pytest.mark.parametrize("task", TASKS)
def test_invariant_03_padding_in_loss(task: str) -> None:
    """What stands at pads changes neither the loss nor any gradient, to the last bit."""
    model: Any = tiny(f"model={TASKS[task]}", f"task={task}")
    batch = ragged(model.task, 5, seed=1)
    pads = batch.input_ids == model.task.vocabulary.pad_id
    assert pads.any()
    if batch.labels.shape == batch.input_ids.shape:
        assert (batch.labels[pads] == IGNORE).all()
    other = batch._replace(input_ids=batch.input_ids.masked_fill(pads, 42))
    if batch.source_ids is not None:
        assert batch.source_padding is not None
        other = other._replace(source_ids=batch.source_ids.masked_fill(batch.source_padding, 42))
    found = []
    for given in (batch, other):
        model.zero_grad()
        loss = mean_loss(model, given)
        loss.backward()
        found.append([loss.detach(), *gradients(model)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def doubled(n: int, seed: int) -> Tokens:
    """a a x x k k ..: of two neighbours the second is a copy, the first comes from nowhere."""
    draws = np.random.default_rng(seed).integers(97, 97 + LETTERS, n)
    return Tokens(np.repeat(draws, 2).astype(np.int32))


def test_invariant_04_label_shift() -> None:
    """Shifted by 0 the model would know everything, shifted by 2 it could know nothing."""
    overrides = ("optimizer=adamw", "optimizer.lr=0.01", "schedule.warmup_steps=10")
    model = tiny(*overrides, "position=learned", "model.n_layers=1", dtype=torch.float32).train()
    collate = model.task.collator("train")

    def drawn(step: int) -> Batch:
        return collate([doubled(8, 100 * step + row) for row in range(16)], [0] * 16)

    optimizer_steps(model, [drawn(step) for step in range(150)], 150)
    held_out = drawn(1000)
    with torch.no_grad():
        scores, labels = model.task.scores(model.features(held_out), held_out)
    nll = nn.functional.cross_entropy(scores, labels, reduction="none").view(16, 15)
    assert nll[:, 0::2].mean() < 0.05, "the copy is not learned"
    assert nll[:, 1::2].mean() > math.log(LETTERS) - 0.05, "what nobody can know is known"


def smoothed(scores: Tensor, labels: Tensor, e: float, z: float) -> float:
    """Label smoothing and z-loss as one would write them, one target after the other."""
    total = 0.0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        if label != IGNORE:
            log_z = math.log(sum(math.exp(score) for score in row))
            wanted = [e / len(row) + (1 - e) * (i == label) for i in range(len(row))]
            total -= sum(p * (score - log_z) for p, score in zip(wanted, row, strict=True))
            total += z * log_z**2
    return total


SCORES, LABELS = 3 * noise(7, 9, seed=4), torch.tensor([3, IGNORE, 0, 8, IGNORE, 3, 1])


@pytest.mark.parametrize("smoothing", [0.05, 0.3])
def test_invariant_20_label_smoothing_with_ignored_labels(smoothing: float) -> None:
    sums = CrossEntropy(label_smoothing=smoothing)(SCORES, LABELS)
    assert float(sums.objective) == pytest.approx(smoothed(SCORES, LABELS, smoothing, 0), abs=EXACT)
    # A sum, so ignored labels are in no divisor; the trainer divides by n_targets.
    kept = LABELS != IGNORE
    alone = CrossEntropy(label_smoothing=smoothing)(SCORES[kept], LABELS[kept])
    torch.testing.assert_close(sums.objective, alone.objective, rtol=0, atol=EXACT)


def test_invariant_20_the_divisor_leaves_ignored_labels_out() -> None:
    model = tiny("model=encoder_only", "task=tagging", "loss.label_smoothing=0.1")
    batch = ragged(model.task, 4)
    assert int(batch.n_targets) == int((batch.labels != IGNORE).sum()) < batch.n_tokens


@pytest.mark.parametrize("z", [1e-3, 0.2])
def test_invariant_21_z_loss(z: float) -> None:
    loss = CrossEntropy(z_loss=z)
    wanted = smoothed(SCORES, LABELS, 0.0, z)
    assert float(loss(SCORES, LABELS).objective) == pytest.approx(wanted, abs=EXACT)
    plain = smoothed(SCORES, LABELS, 0.0, 0.0)
    assert float(loss(SCORES, LABELS).nll) == pytest.approx(plain, abs=EXACT)

    def objective(scores: Tensor) -> Tensor:
        return loss(scores, LABELS).objective

    assert torch.autograd.gradcheck(objective, SCORES.clone().requires_grad_())


def test_invariant_27_perplexity_and_bits_per_byte() -> None:
    """From sums over the split: means of batches, or of exponentials, would be other numbers."""
    text = "naïve café — ça marche ♥ ok"
    words = Characters().train([text])
    task = CausalLM(loss=CrossEntropy(), tie_embeddings=False)
    task.build(
        d_model=4,
        vocabulary=words,
        labels=(),
        embedding=nn.Embedding(words.size, 4).double(),
    )
    task.double()
    ids = words.encode(text)
    metrics = nn.ModuleDict(task.metrics())
    nll: list[Tensor] = []
    for size, part in (
        (1, ids[:20]),
        (2, ids[19:]),
    ):  # one target is the next part's first token
        batch = task.collator("val")([Tokens(part)], [0])
        features = size * noise(1, len(part) - 1, 4, seed=size)
        with torch.no_grad():
            task.update(metrics, features, batch)
            scores = task.head(features[0]).log_softmax(-1)
        nll.append(-scores.gather(-1, batch.labels.T)[:, 0])
    values = {name: float(value) for name, value in task.compute(metrics).items()}
    every = torch.cat(nll)
    n_bytes = len(text[1:].encode())  # the first character is no target
    assert n_bytes > len(every) == len(text) - 1
    assert values["loss"] == pytest.approx(float(every.mean()), abs=EXACT)
    assert values["perplexity"] == pytest.approx(math.exp(float(every.mean())), abs=1e-9)
    in_bits = float(every.sum()) / math.log(2) / n_bytes
    assert values["bits_per_byte"] == pytest.approx(in_bits, abs=EXACT)
    batch_means = torch.stack([part.mean() for part in nll])
    for wrong in (
        every.exp().mean(),
        batch_means.mean().exp(),
        batch_means.exp().mean(),
    ):
        assert abs(values["perplexity"] - float(wrong)) > 1e-2


@pytest.mark.parametrize("kind", options("model"))
def test_invariant_37_initial_loss(kind: str) -> None:
    """Each architecture begins at ln V, at its default width.

    Untied, because a tied table favours the token that is read, which one in ten hidden tokens is.
    """
    width = compose_config(f"model={kind}").model.d_model
    model = tiny(f"model={kind}", f"model.d_model={width}", "tie_embeddings=false")
    with torch.no_grad():
        loss = float(mean_loss(model, drawn_batch(model.task, 32)))
    assert abs(loss - math.log(model.task.vocabulary.size)) < 0.1


@pytest.mark.parametrize("kind", options("model"))
def test_invariant_37_one_batch_is_learned_by_heart(kind: str) -> None:
    overrides = ("optimizer=adamw", "optimizer.lr=0.02", "optimizer.weight_decay=0.0")
    model = tiny(f"model={kind}", *overrides, "schedule.warmup_steps=10", dtype=torch.float32)
    batch = drawn_batch(model.task, 2, seed=7)
    assert optimizer_steps(model.train(), [batch] * 120, 120)[-1] < 0.01
