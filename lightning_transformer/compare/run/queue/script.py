"""The batch script of a job: begin, train, leave the exit status; queued again where preempted."""

import shlex
import sys

from lightning_transformer.compare.run.machine import DEVICES, THREADS
from lightning_transformer.compare.run.queue.options import Resources
from lightning_transformer.compare.run.queue.orders import Orders
from lightning_transformer.paths import PROGRAM

NODE = "lightning_transformer.compare.run.queue.in_job.status"
PACK = "lightning_transformer.compare.run.queue.in_job.pack"
WAIT = 300  # seconds that a process has to end after the first one has ended
TEMPLATE = """\
#!/bin/bash
{head}
{environment}
{body}
"""
# SIGTERM, when Slurm preempts the job or before its time limit, ends a run after its step with a
# checkpoint and 143. Slurm takes that for the end of the job, so it is queued again from here; it
# keeps its number. Where Slurm refuses, the job was cancelled.
REQUEUE = """\
if [ "$code" -eq 143 ] && [ ! -e {cancelled} ]; then
    scontrol requeue "$SLURM_JOB_ID"
    exit 143
fi"""
ONE = """\
{node} begin {orders} || exit 0
srun --wait={wait} {step} {program} {arguments}
code=$?
{requeue}
{node} end {orders} "$code"
exit "$code\""""
SEVERAL = """\
srun --ntasks=1 {step} {pack} {orders}
code=$?
{requeue}
exit "$code\""""


def job_script(orders: Orders, resources: Resources) -> str:
    """The script of a job that does one run, or several at a time."""
    requeue = REQUEUE.format(cancelled=shlex.quote(str(orders.cancel_file.absolute())))
    # srun does not take it over from sbatch.
    step = f"--cpus-per-task={resources.cpus * len(orders.runs)}"
    if len(orders.runs) > 1:
        body = SEVERAL.format(step=step, pack=_program(PACK), orders=_file(orders), requeue=requeue)
    else:
        body = ONE.format(
            node=_program(NODE),
            orders=_file(orders),
            wait=WAIT,
            step=step,
            program=shlex.join([sys.executable, *PROGRAM.split()[1:]]),
            arguments=shlex.join(orders.runs[0].arguments),
            requeue=requeue,
        )
    return script(body, orders.threads, orders.gpus)


def script(body: str, threads: int, gpus: int) -> str:
    """A batch script with the environment that all runs of a comparison have."""
    lines = [f"export {name}={threads}" for name in THREADS]
    lines += [] if gpus else [f"export {DEVICES}="]  # a node may have GPUs that were not asked for
    return TEMPLATE.format(
        head="# Written by compare run.", environment="\n".join(lines), body=body
    )


def _program(module: str) -> str:
    return shlex.join([sys.executable, "-m", module])


def _file(orders: Orders) -> str:
    return shlex.quote(str(orders.file.absolute()))
