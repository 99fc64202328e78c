"""Checks of trainer.precision against the device."""

import torch

from lightning_transformer.hardware import processor

SUPPORTED = ("auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true")


def check_precision(precision: str, accelerator: str, *, shards: bool) -> None:
    """Raise ValueError where Lightning would warn and take another precision, or torch would fail.

    shards: with trainer=fsdp2, tp or fsdp2_tp.
    """
    if precision == "16-true":
        _refuse(precision, "is not for training: small gradients become 0", "16-mixed or bf16-true")
    if precision not in SUPPORTED:
        raise ValueError(
            f"trainer.precision={precision} is not known; one of {', '.join(SUPPORTED)}"
        )
    device = device_kind(accelerator)
    if device == "cpu" and precision == "16-mixed":
        _refuse(precision, "is not for a cpu", "32-true or bf16-mixed")
    if shards and precision == "16-mixed":
        _refuse(precision, "scales no gradients of shards", "bf16-mixed or trainer=ddp")
    # A GPU that is not there is refused as such.
    here = torch.cuda.is_available()
    if device == "cuda" and here and precision.startswith("bf16") and not has_bf16():
        _refuse(precision, "is not for this gpu", "16-mixed or 32-true")
    if device == "mps" and precision == "64-true":
        _refuse(precision, "is not for mps", "32-true or trainer.accelerator=cpu")


def resolve_precision(precision: str, accelerator: str, *, wide: bool) -> str:
    """What `auto` stands for on this machine: bf16-mixed where it pays, 32-true elsewhere.

    It pays on a GPU that has bfloat16, and on a CPU that has it if the model is wide enough
    (`config.auto_precision.is_wide`). Decided by what the device can do, never by a timing.
    """
    if precision != "auto":
        return precision
    kind = device_kind(accelerator)
    pays = (kind == "cuda" and has_bf16()) or (kind == "cpu" and wide and processor.has_bf16())
    return "bf16-mixed" if pays else "32-true"


def check_gather(gather: str, precision: str, accelerator: str, *, wide: bool) -> None:
    """Raise ValueError where trainer.strategy.gather=bf16 meets another precision than bf16-mixed.

    wide: of the model, for `resolve_precision`.
    """
    taken = resolve_precision(precision, accelerator, wide=wide)
    if gather != "bf16" or taken == "bf16-mixed":
        return
    given = f"{precision}, which is {taken} here" if precision == "auto" else precision
    raise ValueError(
        f"trainer.strategy.gather=bf16 needs trainer.precision=bf16-mixed, not {given}; use "
        "trainer.precision=bf16-mixed or trainer.strategy.gather=float32"
    )


def device_kind(accelerator: str) -> str:
    """cpu, cuda or mps: what trainer.accelerator stands for on this machine."""
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return "cuda"
    if accelerator == "mps" or (accelerator == "auto" and torch.mps.is_available()):
        return "mps"
    return "cpu"


def has_bf16() -> bool:
    """Whether the GPU computes in bfloat16; some of those that do not can imitate it, slowly."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def _refuse(precision: str, why: str, instead: str) -> None:
    raise ValueError(f"trainer.precision={precision} {why}; use {instead}")
