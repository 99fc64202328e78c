"""Muon for the hidden matrices, AdamW for everything else, as one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lightning_transformer.optim.masked_step import step_unless
from lightning_transformer.optim.orthogonal import RowNormalisedMuon, StackedMuon
from lightning_transformer.optim.param_groups import (
    MATRICES,
    by_mesh,
    can_fuse,
    matrices,
    param_groups,
    without,
)
from lightning_transformer.optim.torch_optimizer import check_options, closure_loss

# guards the division by the norm of an all-zero gradient, in the source and in torch alike
NEWTON_SCHULZ_EPS = 1e-7


class MuonWithAdamW(torch.optim.Optimizer):
    """Update the group named ``matrices`` by `StackedMuon` and the others by AdamW.

    A group of matrices with a ``row_beta2`` is updated by `RowNormalisedMuon`.

    It holds one list of groups and one state; the two inner optimizers work on these same
    objects, so that schedulers, ``load_state_dict``, ``deepcopy`` and ``add_param_group`` see a
    single ordinary optimizer. As with torch's fused ones, an attribute ``found_inf`` that is not 0
    when it steps leaves everything as it is.

    groups: the one with ``name == "matrices"`` holds 2-D tensors only. adamw_options: defaults of
    the AdamW groups: lr, betas, eps, weight_decay, fused.
    """

    takes_found_inf = True

    def __init__(self, groups: list[dict[str, Any]], adamw_options: dict[str, Any]) -> None:
        super().__init__(groups, adamw_options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to what is optimized; AdamW takes it unless its name is ``matrices``."""
        super().add_param_group(param_group)
        self._link()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # torch comes here from load_state_dict, deepcopy and pickle, with new groups and state
        super().__setstate__(state)
        self._link()

    def _link(self) -> None:
        kinds: dict[Callable[..., torch.optim.Optimizer], list[dict[str, Any]]] = {}
        for group in self.param_groups:
            kinds.setdefault(_kind(group), []).append(group)
        self._parts: list[torch.optim.Optimizer] = []
        for build, groups in kinds.items():
            part = build(groups)
            part.__setstate__({"state": self.state, "param_groups": groups})
            self._parts.append(part)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Call the closure once, if there is one, then update all groups; return its value."""
        loss = closure_loss(closure)
        skip = getattr(self, "found_inf", None)
        for part in self._parts:
            if skip is None:
                part.step()
            else:
                step_unless(part, skip)
        return loss


def muon(
    model: nn.Module,
    *,
    lr: float = 3e-3,
    muon_lr: float = 0.02,
    momentum: float = 0.95,
    muon_weight_decay: float = 0.0,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build Muon for the hidden matrices and AdamW for embeddings, head, norms and biases.

    With ``b = momentum * b + (1 - momentum) * g``, a matrix of shape (out, in) moves by
    ``w -= muon_lr * (sqrt(max(1, out / in)) * O + muon_weight_decay * w)``, where O is
    ``(1 - momentum) * g + momentum * b`` with its singular values brought near 1 by five
    Newton-Schulz iterations. These run in bfloat16 whatever the dtype of the weights, as in torch,
    so an update is exact to about three digits only; in float32 on a processor without bfloat16.

    Source: Jordan et al. 2024 (Muon); Loshchilov and Hutter 2019 (AdamW).

    Options as in `torch_optimizer`: lr, weight_decay, beta1, beta2 and eps of the AdamW part,
    muon_lr and muon_weight_decay (decoupled) of the matrices that Muon takes (see `matrices`),
    momentum of its running mean of gradients (Nesterov form).
    Raises ValueError also for a model without hidden matrix.
    """
    own = {"muon_lr": muon_lr, "muon_weight_decay": muon_weight_decay, "momentum": momentum}
    adamw = {"lr": lr, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "eps": eps}
    return muon_with_adamw(muon, model, own, adamw, decay_all=decay_all)


def muon_with_adamw(
    build: Callable[..., Any],
    model: nn.Module,
    own: dict[str, float],
    adamw: dict[str, float],
    *,
    decay_all: bool,
) -> MuonWithAdamW:
    """Build the optimizer with the hidden matrices in groups named ``matrices``, before the others.

    own: options of these groups, adamw: of the others, under the names that they have in `build`.
    Raises ValueError when one is out of range, or there is no hidden matrix.
    """
    check_options(build, **own, **adamw)
    hidden = matrices(model)
    if not hidden:
        raise ValueError(
            f"optimizer={build.__name__} finds no hidden matrix in {type(model).__name__}; "
            "take optimizer=adamw"
        )
    others = param_groups(model, adamw["weight_decay"], decay_all=decay_all)
    options = {key.removeprefix("muon_"): value for key, value in own.items()}
    first = [
        {"name": MATRICES, **options, "eps": NEWTON_SCHULZ_EPS, "params": params}
        for params in by_mesh(hidden)
    ]
    defaults = {
        "lr": adamw["lr"],
        "betas": (float(adamw["beta1"]), float(adamw["beta2"])),
        "eps": adamw["eps"],
        "weight_decay": adamw["weight_decay"],
        "fused": can_fuse(model) or None,
    }
    return MuonWithAdamW([*first, *without(hidden, others)], defaults)


def _kind(group: dict[str, Any]) -> Callable[..., torch.optim.Optimizer]:
    """Which optimizer a group is for."""
    if group.get("name") != MATRICES:
        return torch.optim.AdamW
    return RowNormalisedMuon if "row_beta2" in group else StackedMuon
