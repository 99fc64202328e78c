"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner for the hidden matrices."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lightning_transformer.nn import checks
from lightning_transformer.optim.param_groups import MATRICES, matrices, param_groups, without
from lightning_transformer.optim.torch_optimizer import check_options, closure_loss

_SIDES = (("left", "left_basis"), ("right", "right_basis"))


class SOAP(torch.optim.Optimizer):
    """For a matrix w of the group ``matrices``, with gradient G::

        m = beta1 * m + (1 - beta1) * G,  in the basis: G' = Q_L^T G Q_R,  m' = Q_L^T m Q_R
        v = beta2 * v + (1 - beta2) * G' ** 2
        w -= lr * (Q_L m'_hat / (sqrt(v_hat) + eps) Q_R^T + weight_decay * w)
        L = beta2 * L + (1 - beta2) * G G^T,  R = beta2 * R + (1 - beta2) * G^T G

    Q_L and Q_R begin as the eigenvectors of L and R after the first gradient, which moves the
    matrix by its decay alone. Every precondition_every steps Q = QR(L Q), one power iteration, with
    the columns of Q, and what v has for them, in the order of their eigenvalues. Everything else is
    updated by AdamW.

    groups: each with its weight_decay. options: defaults of lr, betas, eps, precondition_every and
    max_size.
    """

    def __init__(self, groups: list[dict[str, Any]], options: dict[str, Any]) -> None:
        super().__init__(groups, {**options, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the closure once, if there is one, then update; return its value."""
        loss = closure_loss(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(group, p, p.grad)
        return loss

    def _update(self, group: dict[str, Any], p: Tensor, grad: Tensor) -> None:
        state, (beta1, beta2) = self.state[p], group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        if not state:
            state["step"] = torch.zeros(())  # on the host, which reads it
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            if group.get("name") == MATRICES:
                _first_bases(state, grad, beta2, group["max_size"])
                return  # nothing is projected onto a basis that was made of it
        state["step"] += 1
        n_steps = int(state["step"])
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        turned = _turn(grad, state)
        squares = state["exp_avg_sq"].mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        root = squares.sqrt().div_(math.sqrt(1 - beta2**n_steps)).add_(group["eps"])
        update = _turn(mean, state).div_(root)
        p.add_(_turn_back(update, state), alpha=-group["lr"] / (1 - beta1**n_steps))
        for side, basis in _SIDES:
            if basis in state:
                state[side].lerp_(_products(grad, side), 1 - beta2)
        if n_steps % group["precondition_every"] == 0:
            _next_bases(state)


def _first_bases(state: dict[str, Any], grad: Tensor, beta2: float, max_size: int) -> None:
    for (side, basis), size in zip(_SIDES, grad.shape, strict=True):
        if size <= max_size:
            state[side] = (1 - beta2) * _products(grad, side)
            # The largest first. What is not finite, which a guard undoes, has no eigenvectors.
            finite = torch.where(state[side].isfinite(), state[side], 0.0)
            state[basis] = _agreed(torch.linalg.eigh(finite).eigenvectors.flip(1))


def _next_bases(state: dict[str, Any]) -> None:
    """One power iteration, the largest eigenvalue first; second moments follow their vectors."""
    for dim, (side, basis) in enumerate(_SIDES):
        if basis in state:
            power = state[side] @ state[basis]
            order = (state[basis] * power).sum(dim=0).argsort(descending=True)
            state["exp_avg_sq"] = state["exp_avg_sq"].index_select(dim, order)
            state[basis] = _agreed(torch.linalg.qr(power[:, order]).Q)


def _agreed(basis: Tensor) -> Tensor:
    """On several processes that of the first: another CPU's may differ by far more than rounding.

    All have the same gradient; where it has next to nothing in a direction, its eigenvector is
    rounding, of which Adam makes a full step.
    """
    basis = basis.contiguous()
    if dist.is_available() and dist.is_initialized():
        dist.broadcast(basis, src=0)
    return basis


def _products(grad: Tensor, side: str) -> Tensor:
    return grad @ grad.mT if side == "left" else grad.mT @ grad


def _turn(x: Tensor, state: dict[str, Any]) -> Tensor:
    """A matrix in the bases of its two sides, as far as it has them; always a new tensor."""
    y = state["left_basis"].mT @ x if "left_basis" in state else x.clone()
    return y @ state["right_basis"] if "right_basis" in state else y


def _turn_back(x: Tensor, state: dict[str, Any]) -> Tensor:
    y = state["left_basis"] @ x if "left_basis" in state else x
    return y @ state["right_basis"].mT if "right_basis" in state else y


def soap(
    model: nn.Module,
    *,
    lr: float = 3e-3,
    weight_decay: float = 0.01,
    decay_all: bool = False,
    beta1: float = 0.95,
    beta2: float = 0.95,
    eps: float = 1e-8,
    precondition_every: int = 10,
    max_size: int = 10000,
) -> torch.optim.Optimizer:
    """Build SOAP for the hidden matrices and AdamW for embeddings, head, norms and biases.

    Adam, but in a basis that turns slowly, in which second moments of rows and columns are nearly
    independent: see `SOAP`. Memory: beside AdamW's two states, two matrices (m, m) and two (n, n)
    for one of (m, n). On a GPU the guard waits at each step, because nothing here leaves out an
    update by itself. Eigenvectors of small eigenvalues magnify rounding: another number of
    processes, or another CPU, gives another run.

    Source: Vyas et al. 2024, algorithms 3 and 4; the first step and the order of the columns as in
    the authors' code, which takes embeddings too, by their shorter side.

    Options as in `torch_optimizer`. beta2: also of L and R. precondition_every: steps between two
    turns of the basis, at least 1. max_size: a longer side keeps its own basis, at least 1.
    Raises ValueError also for a model that has no hidden matrix, is sharded over processes, or has
    weights too imprecise for eigenvectors (16 bits).
    """
    options = {"lr": lr, "eps": eps}
    check_options(soap, weight_decay=weight_decay, beta1=beta1, beta2=beta2, **options)
    checks.at_least("optimizer.precondition_every", precondition_every, 1, 10)
    checks.at_least("optimizer.max_size", max_size, 1, 10000)
    hidden = matrices(model)
    _check(model, hidden)
    others = without(hidden, param_groups(model, weight_decay, decay_all=decay_all))
    first = {"name": MATRICES, "params": hidden, "weight_decay": weight_decay}
    betas = {"betas": (float(beta1), float(beta2))}
    sizes = {"precondition_every": precondition_every, "max_size": max_size}
    return SOAP([first, *others], {**options, **betas, **sizes})


def _check(model: nn.Module, hidden: list[nn.Parameter]) -> None:
    if not hidden:
        raise ValueError(
            f"optimizer=soap finds no hidden matrix in {type(model).__name__}; take optimizer=adamw"
        )
    if any(isinstance(p, DTensor) for p in model.parameters()):
        raise ValueError(
            "optimizer=soap needs complete matrices, and the trainer shards them over processes; "
            "use trainer=ddp or optimizer=adamw"
        )
    if any(p.dtype.itemsize < 4 for p in hidden):
        raise ValueError(
            "optimizer=soap needs weights of float32, because their eigenvectors are computed; use "
            "trainer.precision=bf16-mixed in place of bf16-true"
        )
