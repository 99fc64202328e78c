"""What tasks share: padding rows, the head over the vocabulary, moving batches."""

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks import token_task
from lightning_transformer.tasks.base import (
    Batch,
    Task,
    pad,
    pad_mask,
    target_places,
)
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.token_task import TokenTask
from tests.conftest import tiny
from tests.unit.tasks.drawn import examples

ROWS = [np.array([1, 2, 3]), np.array([4]), np.array([5, 6])]


def test_pad() -> None:
    padded = pad(ROWS, 9)
    assert padded.tolist() == [[1, 2, 3], [4, 9, 9], [5, 6, 9]]
    assert padded.dtype == torch.long


def test_pad_mask_is_true_for_pads() -> None:
    mask = pad_mask(ROWS)
    assert mask is not None
    assert mask.tolist() == [[False, False, False], [False, True, True], [False, False, True]]


def test_equally_long_rows_need_no_mask() -> None:
    assert pad_mask([np.array([1, 2]), np.array([3, 4])]) is None


@pytest.mark.parametrize("tied", [True, False])
def test_tied_head_is_the_table_itself(tied: bool) -> None:
    table = nn.Embedding(7, 4)
    task = TokenTask(loss=CrossEntropy(), tie_embeddings=tied, bias=True)
    task.build_head(4, table)
    head = task.head
    assert (head.weight is table.weight) == tied
    assert head.weight.shape == (7, 4)
    assert head.bias.shape == (7,)


def test_to_moves_every_tensor() -> None:
    one = torch.tensor([[1]])
    moved = Batch(one, one, one.sum(), 1, source_ids=one).to(torch.device("meta"))
    assert moved.input_ids.is_meta
    assert moved.source_ids.is_meta
    assert (moved.n_tokens, moved.padding) == (1, None)


def test_a_task_has_to_say_what_it_does() -> None:
    task = Task(loss=nn.Identity())
    for call in (lambda: task.collator("train"), lambda: task.build_head(4, nn.Embedding(2, 4))):
        with pytest.raises(NotImplementedError):
            call()


def test_places_of_targets() -> None:
    labels = torch.tensor([[-100, 5], [0, -100]])
    assert target_places(labels).tolist() == [1, 2]
    # None: all rows are scored.
    assert target_places(torch.ones(2, 2).long()) is None
    assert target_places(torch.full((2, 2), -100)) is None


@pytest.mark.parametrize(
    "typed",
    [
        ("task=causal_lm",),
        ("task=causal_lm", "pattern=prefix", "pattern.n_prefix=2"),
        ("task=multi_token",),
        ("model=encoder_only", "task=masked_lm", "task.transform=true"),
        ("model=encoder_decoder",),
        ("task=completion", "data=restore"),
        ("task=instruct", "data.path=x"),
        ("model=encoder_decoder", "task=span_corruption"),
    ],
)
def test_the_head_is_computed_at_targets_alone(typed: tuple[str, ...]) -> None:
    """Rows of several lengths: sums and gradients are those of all positions."""
    model = tiny(*typed)
    batch = model.task.collator("train")(examples(model.task.example, 4), list(range(4)))
    assert batch.places is not None
    found: list[int] = []
    features = model.features(batch).detach().requires_grad_()
    hook = model.task.head.register_forward_pre_hook(lambda head, args: found.append(len(args[0])))
    sums = model.task(features, batch)
    (gradient,) = torch.autograd.grad(sums.objective, [features])
    assert set(found) == {int(batch.n_targets)}
    hook.remove()
    everywhere = model.task(features, batch._replace(places=None))
    (wanted,) = torch.autograd.grad(everywhere.objective, [features])
    torch.testing.assert_close(sums.objective, everywhere.objective, rtol=1e-12, atol=0)
    torch.testing.assert_close(sums.nll, everywhere.nll, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)


class Halved(TokenTask):
    """A task of others that scores otherwise."""

    def scores(self, features: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        scores, labels = super().scores(features, batch)
        return scores / 2, labels


def test_scores_of_others_are_what_is_trained() -> None:
    task = Halved(loss=CrossEntropy())
    task.head = Head(4, 7)
    labels = torch.tensor([[1, 2, -100]])
    batch = Batch(labels, labels, (labels >= 0).sum(), 3, places=target_places(labels))
    features = torch.randn(1, 3, 4)
    wanted = CrossEntropy()(task.head(features[0]) / 2, labels[0]).objective
    torch.testing.assert_close(task(features, batch).objective, wanted)


@pytest.mark.parametrize("typed", [("task=causal_lm",), ("task=completion", "data=restore")])
def test_an_evaluation_in_parts_measures_the_same(
    typed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(*typed)
    task = model.task
    batch = task.collator("val")(examples(task.example, 5), list(range(5)))
    features, guess = (
        model.features(batch).detach(),
        task.same_guess(batch.input_ids.flatten()).double(),
    )

    def measured(most: int) -> tuple[dict[str, torch.Tensor], np.ndarray, dict[str, torch.Tensor]]:
        monkeypatch.setattr(token_task, "MAX_SCORES", most)
        of_model, of_guess = (nn.ModuleDict(task.metrics()) for _ in range(2))
        rows = RowLosses(0, 1)
        task.update(of_model, features, batch, rows)
        task.update_baseline(of_guess, guess, batch, "val", (0, 1))
        return task.compute(of_model), rows.compute(), task.compute(of_guess)

    per_row = batch.labels.shape[1] * task.head.out_features
    together, parts = measured(10**9), measured(2 * per_row)  # 2, 2 and 1 rows
    for found, wanted in ((parts[0], together[0]), (parts[2], together[2])):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0, equal_nan=True)
    assert parts[1].tolist() == together[1].tolist()
