"""The loss of a head in parts: equal to the plain formula, without ever holding all scores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_transformer.nn.embedding.factorised import FactorisedEmbedding
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy, LossSums
from lightning_transformer.tasks import head_loss as module
from lightning_transformer.tasks.head_loss import head_loss, rows_at_a_time
from tests.conftest import noise

N, D, V = 11, 6, 9  # in parts of 4, 4 and 3 rows
LABELS = torch.tensor([0, 8, -100, 2, -100, -100, -100, -100, 3, 3, 5])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIN_ROWS", 4)
    monkeypatch.setattr(module, "MAX_SCORES", 1)
    monkeypatch.setattr(module, "_PART", 4)


def plain(
    head: Head, x: Tensor, *, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Objective and nll by the formulas of `Head` and `CrossEntropy`, written out."""
    scores = head.multiplier * x @ head.weight.T
    if head.bias is not None:
        scores = scores + head.bias
    if head.score_scale is not None:
        scores = scores * head.score_scale()
    if head.softcap is not None:
        scores = head.softcap * torch.tanh(scores / head.softcap)
    counted = LABELS != -100
    log_z = scores.logsumexp(dim=-1)
    nll = log_z[:, None] - scores
    of_target = nll.gather(1, LABELS.clamp(min=0)[:, None])[:, 0]
    each = (1 - smoothing) * of_target + smoothing * nll.mean(dim=-1) + z_loss * log_z**2
    return each[counted].sum(), of_target[counted].sum()


@pytest.mark.parametrize(
    "options", [{}, {"smoothing": 0.1}, {"z_loss": 0.3}, {"smoothing": 0.2, "z_loss": 1e-2}]
)
@pytest.mark.parametrize(
    "of_head",
    [{}, {"softcap": 2.0}, {"score_scale": 1.5}, {"bias": False, "softcap": 3, "score_scale": 0.5}],
)
@pytest.mark.parametrize("multiplier", [1.0, 0.25])
def test_values_and_gradients_are_those_of_the_formula(
    of_head: dict[str, Any], options: dict[str, float], multiplier: float
) -> None:
    torch.manual_seed(0)
    head = Head(D, V, **of_head).double()
    head.multiplier = multiplier
    loss = CrossEntropy(
        label_smoothing=options.get("smoothing", 0.0), z_loss=options.get("z_loss", 0.0)
    )
    x, other = (noise(N, D).requires_grad_() for _ in range(2))
    sums = head_loss(head, loss, x, LABELS)
    objective, nll = plain(head, other, **options)
    torch.testing.assert_close(sums.objective, objective, rtol=0, atol=1e-10)
    torch.testing.assert_close(sums.nll, nll.detach(), rtol=0, atol=1e-10)
    wanted = torch.autograd.grad(3 * objective, [other, *head.parameters()])
    (3 * sums.objective).backward()
    found = [x.grad, *(p.grad for p in head.parameters())]
    torch.testing.assert_close(found, list(wanted), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rank", [None, 3])
def test_a_tied_table_gets_both_gradients(rank: int | None) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(V, D) if rank is None else FactorisedEmbedding(V, D, rank=rank)
    table.double()
    if rank is None:
        head = Head(D, V, bias=False)
        head.weight = table.weight
    else:
        head = table.tied_head(bias=False, softcap=None).double()
    ids = torch.arange(N) % V

    def gradients(*, parts: bool) -> list[Tensor]:
        x = table(ids).tanh()
        if parts:
            objective = head_loss(head, CrossEntropy(), x, LABELS).objective
        else:
            w = table.weight if rank is None else table.weight @ table.up.weight.T
            objective = F.cross_entropy(x @ w.T, LABELS, reduction="sum")
        return list(torch.autograd.grad(objective, list(table.parameters())))

    torch.testing.assert_close(gradients(parts=True), gradients(parts=False), rtol=0, atol=1e-10)


def test_what_is_frozen_gets_no_gradient() -> None:
    head = Head(D, V).double()
    head.weight.requires_grad_(False)
    x = noise(N, D)
    head_loss(head, CrossEntropy(), x, LABELS).objective.backward()
    wanted = F.cross_entropy(x @ head.weight.T + head.bias, LABELS, reduction="sum")
    (gradient,) = torch.autograd.grad(wanted, [head.bias])
    assert head.weight.grad is None
    torch.testing.assert_close(head.bias.grad, gradient, rtol=0, atol=1e-10)


class Weighted(nn.Module):
    """A loss with a weight per class that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.linspace(0.5, 2, V, dtype=torch.float64))

    def forward(self, scores: Tensor, labels: Tensor) -> LossSums:
        nll = F.cross_entropy(scores, labels, reduction="none")
        total = (nll * self.weights[labels.clamp(min=0)]).sum()
        return LossSums(total, nll.detach().sum())


def test_a_loss_of_others_with_weights_of_its_own() -> None:
    head, loss, x = Head(D, V).double(), Weighted(), noise(N, D)
    head_loss(head, loss, x, LABELS).objective.backward()
    (wanted,) = torch.autograd.grad(loss(head(x), LABELS).objective, [loss.weights])
    torch.testing.assert_close(loss.weights.grad, wanted, rtol=0, atol=1e-10)


def largest(head: Head, x: Tensor) -> int:
    """Elements of the largest tensor that loss and gradient make."""

    class Sizes(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else (out,):
                if isinstance(tensor, Tensor):
                    self.most = max(self.most, tensor.numel())
            return out

    with Sizes() as sizes:
        head_loss(
            head, CrossEntropy(z_loss=0.1), x, torch.zeros(len(x)).long()
        ).objective.backward()
    return sizes.most


def test_scores_of_all_rows_are_never_there(monkeypatch: pytest.MonkeyPatch) -> None:
    head, x = Head(2, 50), torch.randn(40, 2, requires_grad=True)
    assert largest(head, x) == 4 * 50
    # The same measure sees them where all rows are computed together.
    monkeypatch.setattr(module, "MAX_SCORES", 40 * 50)
    assert largest(head, x) == 40 * 50


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "z_loss": 1e-3}])
def test_under_autocast_it_is_no_further_from_float32_than_all_at_once(
    options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    head, loss, labels = Head(64, 300), CrossEntropy(**options), torch.arange(256) % 300
    x = torch.randn(256, 64)

    def gradients(*, n_rows: int, autocast: bool) -> list[Tensor]:
        monkeypatch.setattr(module, "MIN_ROWS", n_rows)
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            sums = head_loss(head, loss, leaf, labels)
        assert sums.objective.dtype == torch.float32
        return list(torch.autograd.grad(sums.objective / 256, [leaf, head.weight, head.bias]))

    exact = gradients(n_rows=256, autocast=False)
    parts, whole = (gradients(n_rows=n, autocast=True) for n in (32, 256))
    for wanted, found, together in zip(exact, parts, whole, strict=True):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() <= 1.1 * (together - wanted).norm()


def test_without_gradients_there_are_the_same_sums() -> None:
    head, x = Head(D, V).double(), noise(N, D)
    with torch.no_grad():
        sums = head_loss(head, CrossEntropy(), x, LABELS)
    wanted = F.cross_entropy(x @ head.weight.T + head.bias, LABELS, reduction="sum")
    torch.testing.assert_close(sums.objective, wanted.detach(), rtol=0, atol=1e-10)


def test_a_second_use_of_the_gradient_is_refused() -> None:
    sums = head_loss(Head(D, V).double(), CrossEntropy(), noise(N, D), LABELS)
    sums.objective.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="used already"):
        sums.objective.backward()


class Doubled(Head):
    """A head that computes otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize("kind", ["subclass", "hook"])
def test_heads_that_compute_otherwise_are_asked_for_all_rows(kind: str) -> None:
    head: Head = (Doubled if kind == "subclass" else Head)(D, V).double()
    if kind == "hook":
        head.register_forward_hook(lambda module, args, output: 2 * output)
    x = noise(N, D)
    found = head_loss(head, CrossEntropy(), x, LABELS).objective
    wanted = F.cross_entropy(2 * (x @ head.weight.T + head.bias), LABELS, reduction="sum")
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_the_rule_of_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert rows_at_a_time(65) == 32263  # a batch of characters is not parted
    assert rows_at_a_time(8192) == 256
    assert rows_at_a_time(50_257) == 128
