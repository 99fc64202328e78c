"""loss=cross_entropy."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from tests.conftest import noise

SCORES = 2 * noise(6, 5)
LABELS = torch.tensor([0, 4, -100, 2, -100, 3])


def by_hand(smoothing: float, z_loss: float) -> float:
    """The formula of the docstring, one target after the other."""
    total = 0.0
    for row, label in zip(SCORES.tolist(), LABELS.tolist(), strict=True):
        if label == -100:
            continue
        log_z = math.log(sum(map(math.exp, row)))
        nll = [log_z - score for score in row]
        total += (1 - smoothing) * nll[label] + smoothing / 5 * sum(nll) + z_loss * log_z**2
    return total


@pytest.mark.parametrize("z_loss", [0.0, 1e-4, 0.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_formula_with_ignored_labels(smoothing: float, z_loss: float) -> None:
    sums = CrossEntropy(label_smoothing=smoothing, z_loss=z_loss)(SCORES, LABELS)
    assert sums.objective.item() == pytest.approx(by_hand(smoothing, z_loss), abs=1e-10)
    assert sums.nll.item() == pytest.approx(by_hand(0.0, 0.0), abs=1e-10)


def test_nll_is_that_of_torch() -> None:
    wanted = F.cross_entropy(SCORES, LABELS, reduction="sum", ignore_index=-100)
    torch.testing.assert_close(CrossEntropy()(SCORES, LABELS).nll, wanted)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"z_loss": 0.5}])
def test_ignored_rows_change_nothing_whatever_they_hold(options: dict[str, float]) -> None:
    loss = CrossEntropy(**options)
    leaf, other = SCORES.clone().requires_grad_(), SCORES.clone()
    other[LABELS == -100] = 1e3
    other.requires_grad_()
    loss(leaf, LABELS).objective.backward()
    loss(other, LABELS).objective.backward()
    assert torch.equal(leaf.grad, other.grad)
    assert torch.equal(loss(other, LABELS).objective, loss(leaf, LABELS).objective)


@pytest.mark.parametrize("options", [{"z_loss": 0.3}, {"label_smoothing": 0.2, "z_loss": 0.1}])
def test_gradient(options: dict[str, float]) -> None:
    def objective(scores: Tensor) -> Tensor:
        return CrossEntropy(**options)(scores, LABELS).objective

    assert torch.autograd.gradcheck(objective, SCORES.clone().requires_grad_())


def test_bfloat16_scores_are_summed_in_float32() -> None:
    scores = noise(4000, 5).bfloat16()
    sums = CrossEntropy(z_loss=1e-3)(scores, torch.zeros(4000, dtype=torch.long))
    exact = CrossEntropy(z_loss=1e-3)(scores.double(), torch.zeros(4000, dtype=torch.long))
    assert sums.objective.dtype == sums.nll.dtype == torch.float32
    assert sums.objective.item() == pytest.approx(exact.objective.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing=1.0 must be at least 0 and below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1 must be at least 0 and below 1"),
        ({"z_loss": -1.0}, "z_loss=-1.0 must be a number of at least 0"),
    ],
)
def test_refuses(options: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        CrossEntropy(**options)
