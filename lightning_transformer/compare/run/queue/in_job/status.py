"""`python -m lightning_transformer.compare.run.queue.in_job.status begin|end ORDERS`, in a job.

`begin` refuses other code, a folder that a living job holds, and a run that makes no progress;
`end` leaves the exit status. Neither loads torch.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_transformer.compare.run.queue.engine import Engine
from lightning_transformer.compare.run.queue.in_job.claim import Claimant, Lives, claim, release
from lightning_transformer.compare.run.queue.in_job.code_digest import code_sha256, head
from lightning_transformer.compare.run.queue.orders import (
    BUSY,
    CLAIMS,
    STARTS,
    STUCK,
    Exit,
    Orders,
    RunOrder,
    read_exit,
    read_orders,
    write_exit,
)
from lightning_transformer.compare.run.queue.slurm_engine import SlurmEngine
from lightning_transformer.runs.atomic import write_atomically

REFUSED = 2
STOPPED = 143
SAME = 3  # restarts without progress after which a run is given up
CHECKPOINT = re.compile(r"step-(\d+)")


def main(arguments: Sequence[str]) -> int:
    """Return 0 where a run may begin, 1 where it was refused, and its exit status was left."""
    what, file, *rest = arguments
    if not Path(file).exists():
        return 1  # its runs have ended, in a job that the queue took twice
    orders = read_orders(Path(file))
    if what == "end":
        end(orders, orders.runs[0], int(rest[0]))
        return 0
    assert what == "begin", what
    return 0 if begin(orders, orders.runs[0], SlurmEngine()) else 1


def begin(orders: Orders, run: RunOrder, engine: Engine) -> bool:
    """Whether a run may begin in this job; if not, its exit status says why."""
    if read_exit(orders.place, run.exit_name) is not None:
        return False  # ended, before the job itself was started again
    if orders.cancel_file.exists():
        write_exit(orders.place, run.exit_name, Exit(STOPPED))
        return False
    now = code_sha256()
    if now != orders.code:
        was, here = (f" ({commit})" if commit else "" for commit in (orders.commit, head()))
        line = (
            f"the code{here} is another than the one{was} that this comparison was started with; "
            "go back to that, or choose another name="
        )
        write_exit(orders.place, run.exit_name, Exit(REFUSED, line))
        return False
    me = this_job(orders.token)
    refused = claim(orders.place / CLAIMS, run.folder, me, asking(engine, me))
    if refused is not None:
        if refused.owner.token != orders.token:  # else the queue took this job twice
            write_exit(orders.place, run.exit_name, Exit(BUSY, str(refused)))
        return False
    if line := without_progress(orders, run):
        end(orders, run, STUCK, line)
        return False
    return True


def end(orders: Orders, run: RunOrder, code: int, line: str = "") -> None:
    """Leave the exit status of a run and its folder."""
    release(orders.place / CLAIMS, run.folder, this_job(orders.token))
    write_exit(orders.place, run.exit_name, Exit(code, line))


def this_job(token: str) -> Claimant:
    """The job of Slurm that this process belongs to."""
    known = os.environ
    restart = int(known.get("SLURM_RESTART_COUNT", "0"))
    node = known.get("SLURMD_NODENAME", platform.node())
    return Claimant(known["SLURM_JOB_ID"], restart, node, token)


def asking(engine: Engine, me: Claimant) -> Lives:
    """Asks the queue whether the owner of a claim lives.

    An answer without this very job, which lives, is an old one, and counts as none.
    """

    def lives(owner: Claimant) -> bool | None:
        answer = engine.living()
        return None if answer is None or me.number not in answer else owner.number in answer

    return lives


def without_progress(orders: Orders, run: RunOrder) -> str:
    """Note how far a run is; a line where its last restarts have not brought it on, else empty."""
    file = orders.place / STARTS / run.chain
    steps = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    steps.append(newest_step(Path(orders.sweep) / run.folder))
    write_atomically(file, json.dumps(steps))
    if len(steps) <= SAME or len(set(steps[-SAME - 1 :])) > 1:
        return ""
    return (
        f"no progress between {SAME} restarts, from the checkpoint of step {steps[-1]}: a save "
        "takes longer than the queue lets it run"
    )


def newest_step(folder: Path) -> int:
    """The step of a run's newest checkpoint, 0 without one."""
    names = (path.name for path in (folder / "checkpoints").glob("step-*"))
    return max((int(m[1]) for name in names if (m := CHECKPOINT.fullmatch(name))), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
