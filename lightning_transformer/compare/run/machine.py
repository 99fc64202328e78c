"""How many jobs run at a time on this machine, and the threads and GPUs of each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.compare.run.variants import Variant

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Machine:
    """The number of jobs at a time, and the threads and GPUs of each.

    Attributes:
        threads: of each job. It stays the same when a comparison continues, because sums in
            another order differ in the last bit.
        gpus: one entry per worker: the GPUs it sees; empty for a CPU.
    """

    n_workers: int
    threads: int
    gpus: tuple[str, ...] = ()

    def environment(self, worker: int) -> dict[str, str]:
        """The environment variables of one worker's processes."""
        env = {**os.environ, **dict.fromkeys(THREADS, str(self.threads))}
        if self.gpus:
            env[DEVICES] = self.gpus[worker]
        return env

    def __str__(self) -> str:
        each = f"{self.threads} thread{'s' if self.threads > 1 else ''} each"
        where = f"a GPU and {each}" if self.gpus else each
        return f"{self.n_workers} worker{'s' if self.n_workers > 1 else ''}, {where}"


def machine_for(
    variants: Sequence[Variant], n_jobs: int, workers: int | None, threads: int | None = None
) -> Machine:
    """As many workers as use all cores or GPUs without sharing one.

    threads: of a comparison that continues.
    Raises ValueError where one job needs more than there is.
    """
    cores, first = physical_cores(), variants[0]
    devices = first.devices if isinstance(first.devices, int) else 1
    gpus = [] if first.accelerator == "cpu" else visible_gpus()
    if first.accelerator == "mps" or (sys.platform == "darwin" and first.accelerator == "auto"):
        most = 1  # one such GPU, which all jobs would share
    elif gpus:
        if devices > len(gpus) or first.devices == "auto":
            devices = len(gpus)
        most = len(gpus) // devices
    else:
        most = max(1, cores // devices)
    n = max(1, min(workers or most, n_jobs))
    if gpus and n > most:
        raise ValueError(
            f"workers={n} are more than the {len(gpus)} GPUs at {devices} each; use workers={most}"
        )
    share = max(1, cores // (n * devices))
    if threads is not None and threads > share:
        n, share = max(1, cores // (threads * devices)), threads
    seen = [",".join(gpus[i * devices : (i + 1) * devices]) for i in range(n)] if gpus else []
    return Machine(n, threads or share, tuple(seen))


def visible_gpus() -> list[str]:
    """Numbers or names of the GPUs that this process may use, without loading a driver."""
    chosen = os.environ.get(DEVICES)
    if chosen is not None:
        return [name for name in chosen.split(",") if name and name != "-1"]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    lines = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))] if done.returncode == 0 else []


def physical_cores(system: Path = Path("/sys/devices/system/cpu")) -> int:
    """Cores that this process may use, within its quota; two threads of one core count once."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not allowed:
        return max(1, (os.cpu_count() or 1) // (1 if sys.platform == "darwin" else 2))
    siblings = set()
    for number in allowed:
        file = system / f"cpu{number}" / "topology" / "thread_siblings_list"
        siblings.add(file.read_text().strip() if file.is_file() else str(number))
    return max(1, min(len(siblings), quota()))


def quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Whole cores that a container may use at a time; a large number without a limit."""
    try:
        limit, period = file.read_text().split()
        return max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return 1_000_000
