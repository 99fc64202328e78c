"""How the C library hands memory out: freed blocks are kept for the next step, not returned."""

import ctypes
import os
import sys

from lightning_transformer.errors import ConfigError

VARIABLE = "LIGHTNING_TRANSFORMER_KEEP_MEMORY"  # 0 = leave the C library as it is
# The parameters of mallopt(3) and the variables by which a user sets them instead.
_SETTINGS = {
    -3: ("MALLOC_MMAP_THRESHOLD_", 2**30),  # larger blocks come from the system one by one
    -1: ("MALLOC_TRIM_THRESHOLD_", -1),  # free memory that is returned: never
    -2: ("MALLOC_TOP_PAD_", 2**26),  # asked of the system beyond what is needed
}


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed; call before the first large tensor. Whether it does.

    glibc asks the system for each block above 32 MB and returns it when it is freed, so that the
    scores over a large vocabulary cost a page fault per 4 KB in every step. Kept, a step took 0.53
    of the time (d_model 512, 2 layers, 4 rows of 512, vocabulary 32768), at 1.34 of the peak
    memory. Nothing is done on a system without glibc, or where the user has set one of these
    variables of glibc or turned it off by `VARIABLE`. Raises ConfigError where that is not 0 or 1.
    """
    asked = os.environ.get(VARIABLE, "").strip()
    if asked not in ("", "0", "1"):
        raise ConfigError(f"{VARIABLE}={asked} must be 0 or 1; use {VARIABLE}=0 to turn it off")
    chosen = any(name in os.environ for name, _ in _SETTINGS.values())
    if asked == "0" or chosen or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all(mallopt(key, value) == 1 for key, (_, value) in _SETTINGS.items())


def return_freed_memory() -> None:
    """Return to the system what is freed and kept, so that a peak counts what is in use (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
