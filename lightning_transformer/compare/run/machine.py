"""How many jobs run at a time on this machine; the threads, GPUs and precision of each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_transformer.compare.run.variants import Variant
from lightning_transformer.hardware.compiler import missing_for_cpu

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PRECISION, EXACT = "trainer.precision", "32-true"
COMPILE = "trainer.compile"
DEVICES = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Machine:
    """The number of jobs at a time, and the threads and GPUs of each.

    Attributes:
        threads: of each job. It stays the same when a comparison continues, because sums in
            another order differ in the last bit.
        gpus: one entry per worker: the GPUs it sees; empty for a CPU.
        where: the jobs are, if not on this machine.
    """

    n_workers: int
    threads: int
    gpus: tuple[str, ...] = ()
    where: str = ""

    def environment(self, worker: int) -> dict[str, str]:
        """The environment variables of one worker's processes."""
        env = {**os.environ, **dict.fromkeys(THREADS, str(self.threads))}
        if self.gpus:
            env[DEVICES] = self.gpus[worker]
        return env

    def __str__(self) -> str:
        each = f"{self.threads} thread{'s' if self.threads > 1 else ''} each"
        if self.where:
            return f"{self.where}, {self.n_workers} runs at a time at most, {each}"
        where = f"a GPU and {each}" if self.gpus else each
        return f"{self.n_workers} worker{'s' if self.n_workers > 1 else ''}, {where}"


def machine_for(
    variants: Sequence[Variant], n_jobs: int, workers: int | None, threads: int | None = None
) -> Machine:
    """As many workers as use all cores or GPUs without sharing one.

    Each has the threads of OMP_NUM_THREADS where that is set, else an equal share of the cores.
    threads: of a comparison that continues.
    Raises ValueError where one job needs more than there is, and for OMP_NUM_THREADS that is no
    number or another than that of the comparison.
    """
    threads = _typed_threads(threads) or threads
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


def sees_gpus() -> bool:
    """Whether runs of this machine that ask for no accelerator see a GPU."""
    return bool(visible_gpus())


def by_width(variant: Variant, *, on_gpus: Callable[[], bool] = sees_gpus) -> bool:
    """Whether the width of a model decides what trainer.precision=auto is: on a CPU.

    on_gpus: whether runs that ask for no accelerator see a GPU.
    """
    return variant.bf16_pays is not None and _on_cpu(variant, on_gpus)


def of_one_precision(
    variants: Sequence[Variant], *, on_gpus: Callable[[], bool] = sees_gpus
) -> list[Variant]:
    """All in float32 on a CPU, where trainer.precision=auto would differ between them by width."""
    if len({v.bf16_pays for v in variants if by_width(v, on_gpus=on_gpus)}) < 2:
        return list(variants)
    return [
        v if v.bf16_pays is None else replace(_settled(v, PRECISION, EXACT), bf16_pays=None)
        for v in variants
    ]


def all_or_none_compiled(
    variants: Sequence[Variant], *, on_gpus: Callable[[], bool] = sees_gpus
) -> list[Variant]:
    """With trainer.compile=auto, all compiled if that pays for one of them, else none.

    A run by itself decides by its length, which is not that of a screening or of what match= has
    solved for. Without a C++ compiler each run says that it goes without.
    """
    undecided = [v.is_long is not None and _on_cpu(v, on_gpus) for v in variants]
    some_long = any(v.is_long for v, open_ in zip(variants, undecided, strict=True) if open_)
    pays = some_long and missing_for_cpu() is None
    if not pays and all(v.axis == "none" for v in variants):
        return list(variants)  # nor does it for a part of a run
    return [
        replace(_settled(v, COMPILE, str(pays).lower()), is_long=None) if open_ else v
        for v, open_ in zip(variants, undecided, strict=True)
    ]


def _on_cpu(variant: Variant, on_gpus: Callable[[], bool]) -> bool:
    return variant.accelerator == "cpu" or not on_gpus()


def _settled(variant: Variant, key: str, value: str) -> Variant:
    """With an override more; in the digest too: runs that began without are not gone on with."""
    overrides = (*variant.overrides, f"{key}={value}")
    return replace(variant, overrides=overrides, digest=f"{variant.digest}-{value}")


def _typed_threads(of_comparison: int | None) -> int | None:
    """The threads of each job that OMP_NUM_THREADS asks for, None without it."""
    key = THREADS[0]
    text = os.environ.get(key, "").strip()
    if not text:
        return None
    outermost = text.split(",")[0]  # a list is one number per level of nested parallel regions
    if not outermost.isdecimal() or int(outermost) < 1:
        raise ValueError(f"{key}={text} must be at least 1, for example {key}=1, or unset")
    if of_comparison is not None and int(outermost) != of_comparison:
        raise ValueError(
            f"{key}={text}, but the runs of this comparison have {of_comparison} each, and sums in "
            f"another order differ in the last bit; unset it, or use {key}={of_comparison}"
        )
    return int(outermost)


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
