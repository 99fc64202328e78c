"""Bytes of weights, gradients and optimizer state after a step, by optimizer and precision."""

import torch

from benchmarks.measured.page import Page, config
from lightning_transformer.build import build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary

OPTIMIZERS = ("adamw", "adam", "sgd", "lion", "muon", "adafactor")


def bytes_of(optimizer: str, dtype: torch.dtype, d_model: int = 256) -> tuple[float, ...]:
    """(weights, gradients, optimizer state) in bytes per parameter, after one step."""
    cfg = config(f"optimizer={optimizer}", f"model.d_model={d_model}", "schedule=constant")
    model = build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=1).to(dtype)
    made = model.make_optimizer(model)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    made.step()
    weights = list(model.parameters())
    states = made.state.values() if not hasattr(made, "optimizers") else (
        state for one in made.optimizers for state in one.state.values())  # fmt: skip
    kept = [x for state in states for x in state.values() if isinstance(x, torch.Tensor)]
    n = sum(weight.numel() for weight in weights)
    parts = weights, [weight.grad for weight in weights], kept
    return tuple(sum(x.numel() * x.element_size() for x in part if x is not None) / n
                 for part in parts)  # fmt: skip


def main() -> None:
    rows = [["optimizer", "precision", "weights", "gradients", "optimizer", "sum"]]
    for dtype in (torch.float32, torch.bfloat16):
        for name in OPTIMIZERS:
            found = bytes_of(name, dtype)
            numbers = [f"{x:.2f}" for x in (*found, sum(found))]
            rows.append([name, str(dtype).removeprefix("torch."), *numbers])
    Page(
        "bytes_per_parameter",
        "How many bytes does a parameter need in training?",
        "16 bytes per parameter for 32-bit training with Adam: weight, gradient and two moments "
        "of 4 bytes each. Texts that say 16 *times* the memory of the weights are wrong.",
        rows,
        "Confirmed to the byte: 4 + 4 + 8 = 16 with Adam and AdamW, which is four times the "
        "weights. SGD with momentum or Lion takes 12; Muon keeps one moment for its matrices and "
        "two for the rest; Adafactor keeps rows and columns. Two-byte weights halve all of it, "
        "which says nothing about how well they train. Activations come on top and depend on the "
        "batch.",
    ).write()


if __name__ == "__main__":
    main()
