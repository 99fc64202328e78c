"""The area under the ROC curve, by comparing all pairs."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_transformer.tasks.metrics.auroc import Auroc


def area(scores: torch.Tensor, labels: torch.Tensor, cuts: tuple[int, ...] = ()) -> float:
    metric = Auroc()
    for part in torch.tensor_split(torch.arange(len(labels)), list(cuts)):
        metric.update(scores[part], labels[part])
    return float(metric.compute())


def drawn(n: int, n_classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 6, (n, n_classes), generator=random).float()  # with ties
    return scores, torch.randint(0, n_classes, (n,), generator=random)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_is_the_share_of_pairs_in_order(n_classes: int) -> None:
    scores, labels = drawn(40, n_classes, 1)
    areas = []
    for c in range(n_classes):
        of, other = scores[labels == c, c], scores[labels != c, c]
        order = (of[:, None] > other).double() + 0.5 * (of[:, None] == other)
        areas.append(float(order.mean()))
    assert area(scores, labels) == pytest.approx(sum(areas) / n_classes, abs=1e-12)


def test_equals_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_auroc

    scores, labels = drawn(200, 3, 2)
    wanted = multiclass_auroc(scores.softmax(dim=1), labels, num_classes=3)
    assert area(scores.softmax(dim=1), labels) == pytest.approx(float(wanted), abs=1e-6)


def test_parts_give_the_whole_and_absent_classes_are_left_out() -> None:
    scores, labels = drawn(30, 3, 3)
    assert area(scores, labels, (7, 20)) == area(scores, labels)
    labels[labels == 2] = 1
    assert area(scores, labels) == pytest.approx((area(scores[:, :2], labels) * 2) / 2, abs=1e-12)


def test_nothing_to_compare_is_nan() -> None:
    assert math.isnan(area(torch.ones(3, 2), torch.zeros(3, dtype=torch.long)))
    assert math.isnan(area(torch.full((2, 2), math.nan), torch.tensor([0, 1])))
    assert math.isnan(float(Auroc().compute()))
