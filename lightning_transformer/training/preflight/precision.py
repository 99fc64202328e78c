"""Checks of trainer.precision against the device."""

import torch

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
