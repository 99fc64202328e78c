"""Slurm by its own commands: sbatch, squeue, scancel and scontrol.

Not by submitit: what is sent are words and no pickles, and without an accounting database submitit
1.5.4 prints a warning each time it looks.
"""

import getpass
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.compare.run.queue.engine import NotSubmitted
from lightning_transformer.errors import ConfigError

SECONDS = 30.0  # that a command of Slurm may take; its own limit for the controller is 10
STATE = re.compile(r"\bJobState=(\w+)")


@dataclass(frozen=True)
class SlurmEngine:
    """The jobs of this user.

    Attributes:
        options: of sbatch, for every job.
    """

    options: tuple[str, ...] = ()
    kind: str = "slurm"

    def check(self, script: str) -> None:
        """Have sbatch check the script and queue nothing. Raises ConfigError, in one line."""
        try:
            call = ["sbatch", *self.options, "--test-only"]
            done = subprocess.run(
                call, input=script, capture_output=True, text=True, timeout=SECONDS
            )
        except FileNotFoundError:
            raise ConfigError(
                "launcher=slurm needs sbatch, which is not here: type this on a login node of the "
                "cluster, or write launcher=local"
            ) from None
        except subprocess.TimeoutExpired:
            raise ConfigError(f"sbatch --test-only gave no answer for {SECONDS:.0f} s") from None
        if done.returncode:
            asked = " ".join(self.options) or "without options"
            raise ConfigError(f"sbatch refuses such a job ({asked}): {_reason(done.stderr)}")

    def submit(self, script: str, name: str, log: Path) -> str:
        # A % would stand for a part of the job's name.
        where = [f"--job-name={name}", f"--output={str(log).replace('%', '%%')}"]
        done = _called(["sbatch", "--parsable", *self.options, *where], script)
        if done is None or done.returncode:
            raise NotSubmitted("no answer from sbatch" if done is None else _reason(done.stderr))
        return done.stdout.strip().split(";")[0]  # the cluster's name may follow

    def living(self) -> dict[str, str] | None:
        call = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%j"]
        done = _called(call)
        if done is None or done.returncode:
            return None
        pairs = [line.strip().split("|", 1) for line in done.stdout.splitlines() if line.strip()]
        if any(len(pair) != 2 or not pair[0][:1].isdigit() for pair in pairs):
            return None
        return {pair[0]: pair[1] for pair in pairs}

    def end(self, numbers: list[str], *, at_once: bool) -> None:
        if at_once:
            _called(["scancel", *numbers])
            return
        _called(["scancel", "--state=PENDING", *numbers])
        _called(["scancel", "--signal=TERM", *numbers])  # to the steps, which save; then they end

    def why_gone(self, number: str) -> str:
        done = _called(["scontrol", "--oneliner", "show", "job", number])
        found = STATE.search(done.stdout) if done is not None else None
        return found[1] if found else ""


def _called(call: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str] | None:
    """The command when it has ended; None where it gave no answer in time."""
    try:
        return subprocess.run(call, input=text, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _reason(error: str) -> str:
    """What sbatch says of a refusal, in one line."""
    lines = [line.removeprefix("sbatch: ").strip() for line in error.splitlines()]
    kept = [line.removeprefix("error: ") for line in lines if line]
    return "; ".join(dict.fromkeys(kept)) or "no reason given"
