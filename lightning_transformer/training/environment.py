"""What a run records about the machine and the code that it ran on."""

import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lightning_transformer.hardware.allocator import return_freed_memory

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "tokenizers", "numpy")


def versions() -> dict[str, str]:
    """Python and the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of this code, with -dirty if files differ from it; None outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *args: str) -> str:
    # Without locks: status would lock the index to refresh it, and leave the lock if it is killed.
    call = ["git", "--no-optional-locks", "-C", str(root), *args]
    return subprocess.run(
        call, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    if device.type != "cpu":
        return device.type
    n = torch.get_num_threads()
    return f"{cpu}, {n} thread{'s' if n > 1 else ''}"


def reset_peak_memory() -> None:
    """Forget the peaks of whatever ran before in this process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return_freed_memory()  # or the peak would count what an earlier run freed and glibc keeps
    with suppress(OSError):  # only Linux can; peak_memory then says that it does not know
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Bytes at the peak since the reset: of the GPU, else of the process; None where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
