"""NorMuon for the hidden matrices, AdamW for everything else, as one optimizer."""

import torch
from torch import nn

from lightning_transformer.nn import checks
from lightning_transformer.optim.optimizers.muon import (
    NEWTON_SCHULZ_EPS,
    MuonWithAdamW,
    with_matrices,
)
from lightning_transformer.optim.param_groups import can_fuse, param_groups


def normuon(
    model: nn.Module,
    *,
    lr: float = 3e-3,
    muon_lr: float = 0.02,
    momentum: float = 0.95,
    row_beta2: float = 0.95,
    muon_weight_decay: float = 0.0,
    weight_decay: float = 0.1,
    decay_all: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Build Muon with neurons of one size: see `RowNormalisedMuon`; AdamW for what Muon leaves out.

    An orthogonalised update still has rows, that is neurons, of very different sizes. Here each is
    divided by the root of its running mean square, at one number of memory per row.

    Source: Li et al. 2025 (NorMuon), in the form of the authors' code, which keeps the norm that
    Muon's update has, where the paper gives it that of Adam; Jordan et al. 2024 (Muon).

    Args:
        model: gives the parameters; see `matrices` for those that Muon takes.
        lr: peak learning rate of the AdamW part, per optimizer step.
        muon_lr: peak learning rate of the matrices, per optimizer step.
        momentum: decay rate of Muon's running mean of gradients (Nesterov form).
        row_beta2: decay rate of the running mean square of each row's update.
        muon_weight_decay: decoupled weight decay of the matrices that Muon takes.
        weight_decay: of the other matrices, such as a head that is not tied.
        decay_all: whether embeddings, norms and biases decay by weight_decay as well.
        beta1: AdamW's decay rate of the running mean of gradients.
        beta2: AdamW's decay rate of the running mean of squared gradients.
        eps: AdamW's addition to the root of the second moment.

    Raises:
        ValueError: when an option is out of range, the model has no hidden matrix, or this torch
            has no Muon.
    """
    checks.positive("optimizer.lr", lr, "3e-3")
    checks.positive("optimizer.muon_lr", muon_lr, "0.02")
    checks.fraction("optimizer.momentum", momentum, "0.95")
    checks.fraction("optimizer.row_beta2", row_beta2, "0.95")
    checks.non_negative("optimizer.muon_weight_decay", muon_weight_decay, "0.0")
    checks.non_negative("optimizer.weight_decay", weight_decay, "0.1")
    checks.fraction("optimizer.beta1", beta1, "0.9")
    checks.fraction("optimizer.beta2", beta2, "0.95")
    checks.positive("optimizer.eps", eps, "1e-8")
    own = {
        "lr": muon_lr,
        "weight_decay": muon_weight_decay,
        "momentum": momentum,
        "eps": NEWTON_SCHULZ_EPS,
        "row_beta2": row_beta2,
    }
    options = {
        "lr": lr,
        "betas": (float(beta1), float(beta2)),
        "eps": eps,
        "weight_decay": weight_decay,
        "fused": can_fuse(model) or None,
    }
    others = param_groups(model, weight_decay, decay_all=decay_all)
    return MuonWithAdamW(with_matrices("normuon", model, own, others), options)
