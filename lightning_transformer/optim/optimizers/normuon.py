"""NorMuon for the hidden matrices, AdamW for everything else, as one optimizer."""

import torch
from torch import nn

from lightning_transformer.optim.optimizers.muon import muon_with_adamw


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

    Options and errors as in `muon`. row_beta2: decay rate of the running mean square of each row's
    update, [0, 1).
    """
    own = {
        "muon_lr": muon_lr,
        "muon_weight_decay": muon_weight_decay,
        "momentum": momentum,
        "row_beta2": row_beta2,
    }
    adamw = {"lr": lr, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "eps": eps}
    return muon_with_adamw(normuon, model, own, adamw, decay_all=decay_all)
