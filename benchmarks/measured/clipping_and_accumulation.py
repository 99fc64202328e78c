"""Gradient accumulation against one large batch, and clipping against torch's own, in float64."""

import torch
from torch import Tensor

from benchmarks.measured.page import Page, config
from lightning_transformer.build import build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.distributed.grad_norm import clip_with_norm, global_norm
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import IGNORE, Batch


def model_of() -> Transformer:
    cfg = config("model.d_model=64", "model.n_layers=2", "data.seq_len=32")
    return build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=1).double()


def batch_of(ids: Tensor, labels: Tensor) -> Batch:
    return Batch(ids, labels, (labels != IGNORE).sum(), ids.numel())


def gradient(model: Transformer, parts: list[Batch], divisors: list[Tensor]) -> Tensor:
    """Of the sum over micro-batches of their summed losses over their divisors."""
    model.zero_grad()
    for batch, divisor in zip(parts, divisors, strict=True):
        (model.task(model.features(batch), batch).objective / divisor).backward()
    return torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])


def differences() -> dict[str, float]:
    """Relative differences of gradients from those of the whole batch, and of clipping."""
    model = model_of()
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(256, (8, 32), generator=draw)
    even = torch.randint(256, (8, 32), generator=draw)
    lengths = torch.tensor([32, 30, 31, 32, 4, 3, 6, 2])  # rows as documents are: of every length
    uneven = even.masked_fill(torch.arange(32) >= lengths[:, None], IGNORE)
    found = {}
    for name, labels in (("rows of one length", even), ("rows of different length", uneven)):
        whole = batch_of(ids, labels)
        parts = [batch_of(ids[i : i + 2], labels[i : i + 2]) for i in range(0, 8, 2)]
        reference = gradient(model, [whole], [whole.n_targets])
        ours = gradient(model, parts, [whole.n_targets] * 4)
        naive = gradient(model, parts, [4 * part.n_targets for part in parts])
        for kind, other in (("over all targets", ours), ("mean of means", naive)):
            found[f"{name}, {kind}"] = float((other - reference).norm() / reference.norm())
    weights = list(model.parameters())
    gradient(model, [whole], [whole.n_targets])
    norm = global_norm(weights)
    clip_with_norm(weights, 0.5 * float(norm), norm)
    ours = torch.cat([w.grad.flatten() for w in weights if w.grad is not None])
    gradient(model, [whole], [whole.n_targets])
    torch.nn.utils.clip_grad_norm_(weights, 0.5 * float(norm))
    theirs = torch.cat([w.grad.flatten() for w in weights if w.grad is not None])
    found["clipping at half the norm, against torch's own"] = float(
        (ours - theirs).norm() / theirs.norm()
    )
    return found


def main() -> None:
    rows = [["gradient of four micro-batches", "relative difference"]]
    rows += [[name, f"{value:.1e}"] for name, value in differences().items()]
    Page(
        "clipping_and_accumulation",
        "Is gradient accumulation the same as a larger batch?",
        "Gradients of micro-batches add up to that of the batch; clipping scales the whole "
        "gradient to a norm and keeps its direction (Pascanu et al. 2013).",
        rows,
        "Confirmed up to rounding, if each micro-batch is divided by the number of targets of the "
        "whole step. Dividing each by its own number and averaging, as most training loops do, is "
        "correct only if all rows are equally long: with rows of different length it gives a "
        "different gradient. Clipping equals torch's own.",
    ).write()


if __name__ == "__main__":
    main()
