"""Adafactor: second moments of rows and columns in place of every weight's own."""

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from lightning_transformer.nn import checks
from lightning_transformer.optim.torch_optimizer import check_options, torch_optimizer


def adafactor(
    model: nn.Module,
    *,
    lr: float = 1e-2,
    weight_decay: float = 0.0,
    decay_all: bool = False,
    beta2_decay: float = -0.8,
    min_rms: float = 1e-3,
    clip_rms: float = 1.0,
) -> torch.optim.Optimizer:
    """Build Adafactor: ``w -= max(min_rms, rms(w)) * min(lr, 1 / sqrt(t)) * u``.

    ``u = g / sqrt(r c / mean(r))``, scaled down to a root mean square of clip_rms, with r and c the
    running means of squared gradients over each row and column; vectors have one of every weight.
    lr is relative to the size of a tensor. There is no first moment: memory is one number per row
    and column.

    torch's form of it, in which lr is what the paper has as 0.01, and decay is decoupled:
    ``w -= lr * weight_decay * w``. On a GPU each step waits, because torch reads two norms of every
    tensor.

    Source: Shazeer and Stern 2018.

    Options as in `torch_optimizer`. beta2_decay: the second moments' decay rate is
    ``1 - t ** beta2_decay`` at step t, [-1, 0). min_rms: the least root mean square that a tensor
    counts as having, above 0. clip_rms: the largest root mean square of u, at least 1.
    Raises ValueError also for a model that is sharded over processes.
    """
    check_options(adafactor, min_rms=min_rms)
    if not (isinstance(beta2_decay, float | int) and -1 <= beta2_decay < 0):
        raise ValueError(
            f"optimizer.beta2_decay={beta2_decay!r} must be from -1 to below 0, for example -0.8"
        )
    checks.number_from("optimizer.clip_rms", clip_rms, 1.0)
    if any(isinstance(p, DTensor) for p in model.parameters()):
        raise ValueError(
            "optimizer=adafactor needs complete rows and columns, and the trainer shards them over "
            "processes; use trainer=ddp or optimizer=adamw"
        )
    return torch_optimizer(
        adafactor,
        torch.optim.Adafactor,
        model,
        lr=lr,
        weight_decay=weight_decay,
        decay_all=decay_all,
        fixed={"beta2_decay": beta2_decay, "eps": (None, min_rms), "d": clip_rms},
    )
