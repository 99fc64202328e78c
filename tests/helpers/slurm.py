"""A real Slurm of two nodes on this machine, in a folder of its own and reachable from nowhere.

`slurm_cluster()` starts it in some seconds and ends it by the numbers of its processes. Both nodes
are this machine. Jobs of the partition `urgent` preempt those of `patient`, which then have a
minute to stop. Debian's packages slurm-wlm and munge are installed where they are missing.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from tests.helpers.debian import install

PROGRAMS = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm"}
NODES = ("n1", "n2")
CONFIG = """\
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
# Bind to what the name of the machine stands for, which is the loopback: see ON_LOOPBACK.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
# A job that is queued again starts when its credentials have expired: 5 is the least, 120 usual.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
SlurmdTimeout=10
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=1000
PartitionName=patient Nodes=n1,n2 Default=YES PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
"""
# Slurm's daemons listen where the name of their machine leads. In a namespace of their own that
# name is localhost, and nobody else sees it.
ON_LOOPBACK = ("unshare", "--uts", "sh", "-c", 'hostname localhost && exec "$@"', "sh")
# For jobs on nodes whose names lead nowhere.
FOR_JOBS = {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}

T = TypeVar("T")


class SlurmCluster:
    """Submits jobs and says what became of them."""

    def __init__(self, folder: Path, processes: Sequence[int], begin: Callable[[str], int]) -> None:
        """begin: starts a node; the number of its process."""
        self.folder, self.processes, self.begin = folder, processes, begin
        config = str(folder / "slurm.conf")
        self.env = {**os.environ, **FOR_JOBS, "SLURM_CONF": config}

    def call(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command of Slurm; its output."""
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stderr}{self.logs()}"
        return done.stdout.strip()

    def submit(self, *arguments: str, cwd: Path) -> str:
        """`sbatch` with these arguments; the number of the job. Its output is in cwd/NUMBER.log."""
        return self.call("sbatch", "--parsable", f"--output={cwd}/%j.log", *arguments, cwd=cwd)

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of a job, such as JobState, Restarts and ExitCode."""
        text = self.call("scontrol", "--oneliner", "show", "job", number)
        return dict(re.findall(r"(\w+)=(\S+)", text))

    def wait(self, number: str, *states: str, seconds: float = 300) -> dict[str, str]:
        """Wait until a job is in one of these states."""

        def arrived() -> dict[str, str] | None:
            job = self.job(number)
            return job if job["JobState"] in states else None

        what = f"job {number} to be {' or '.join(states)}"
        return wait_until(arrived, what, seconds, lambda: f"{self.job(number)}{self.logs()}")

    def cancel(self, number: str) -> None:
        self.call("scancel", number)

    def kill_node(self, node: str) -> list[str]:
        """End a node and all that runs on it, without a word to the others; the jobs it had."""
        numbers = self.call("squeue", "--noheader", f"--nodelist={node}", "--format=%i").split()
        place = NODES.index(node) - len(NODES)  # the nodes are the last daemons
        os.kill(self.processes[place], signal.SIGKILL)
        # What watches a job first, or it would report that its processes are gone.
        titles = tuple(f"slurmstepd: [{number}." for number in numbers)
        for pid in processes(lambda pid: command_line(pid).startswith(titles)):
            os.kill(pid, signal.SIGKILL)
        mine = [f"SLURM_CONF={self.folder / 'slurm.conf'}", *(f"SLURM_JOB_ID={n}" for n in numbers)]
        for pid in processes(
            lambda pid: (
                mine[0] in (env := environment_of(pid)) and any(one in env for one in mine[1:])
            )
        ):
            os.kill(pid, signal.SIGKILL)
        return numbers

    def start_node(self, node: str) -> None:
        """Start a node that was killed; it ends with the others."""
        place = NODES.index(node) - len(NODES)
        new = self.begin(node)
        self.processes = [*self.processes[:place], new, *self.processes[place:][1:]]
        wait_until(lambda: is_up(self), "the node", 120, self.logs)

    def logs(self) -> str:
        """The ends of the daemons' logs."""
        files = sorted(self.folder.glob("*.log"))
        return "".join(f"\n--- {file.name}\n{file.read_text()[-2000:]}" for file in files)


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Within, two nodes are up. Fails where they cannot be."""
    install(PROGRAMS)
    with ExitStack() as stack:
        # Not pytest's folder, whose path is too long for a socket.
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # munged asks that everyone can reach its socket
        write_files(folder)
        daemons = [stack.enter_context(daemon(munged(folder), folder))]
        path = folder / "munge.socket"
        wait_until(path.exists, "munged", 60, lambda: (folder / "munged.log").read_text())
        for call in (["slurmctld", "-D", "-c"], *(["slurmd", "-D", "-N", node] for node in NODES)):
            daemons.append(stack.enter_context(daemon([*ON_LOOPBACK, *call], folder)))

        def begin(node: str) -> int:
            call = [*ON_LOOPBACK, "slurmd", "-D", "-N", node]
            return stack.enter_context(daemon(call, folder)).pid

        cluster = SlurmCluster(folder, [process.pid for process in daemons], begin)
        stack.callback(end_jobs, cluster)
        wait_until(lambda: is_up(cluster), "the nodes", 120, cluster.logs)
        listening = [place for pid in cluster.processes for place in listens_at(pid)]
        assert len(listening) >= 3, listening
        assert all(is_loopback(place) for place in listening), listening
        yield cluster


def write_files(folder: Path) -> None:
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    text = CONFIG.format(ports=free_ports(3), user=getpass.getuser(), folder=folder)
    (folder / "slurm.conf").write_text(text)


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def munged(folder: Path) -> list[str]:
    files = {"key": "key-file", "socket": "socket", "pid": "pid-file", "seed": "seed-file"}
    options = [f"--{option}={folder}/munge.{name}" for name, option in files.items()]
    return ["munged", "--foreground", *options, f"--log-file={folder}/munged.log"]


@contextmanager
def daemon(call: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended by its number; what it says stands in a log of the folder."""
    name = next(word for word in call if word in PROGRAMS)
    env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    with (folder / f"{name}.out.log").open("ab") as log:
        process = subprocess.Popen(call, env=env, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_up(cluster: SlurmCluster) -> bool:
    call = ["sinfo", "--noheader", "--Node", "--format=%T"]
    done = subprocess.run(call, env=cluster.env, capture_output=True, text=True)
    return set(done.stdout.split()) == {"idle"}


def end_jobs(cluster: SlurmCluster) -> None:
    """No job outlives its cluster."""
    numbers = subprocess.run(
        ["squeue", "--noheader", "--format=%i"], env=cluster.env, capture_output=True, text=True
    ).stdout.split()
    if numbers:
        subprocess.run(["scancel", *numbers], env=cluster.env, check=False)
        left = ["squeue", "--noheader"]
        wait_until(
            lambda: not subprocess.run(left, env=cluster.env, capture_output=True).stdout,
            "the jobs to end",
            30,
            cluster.logs,
        )


def processes(fits: Callable[[int], bool]) -> list[int]:
    """The numbers of the processes that fit."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [number for number in numbers if fits(number)]


def command_line(process: int) -> str:
    """Its words, or what it calls itself; empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def environment_of(process: int) -> list[str]:
    """The variables that it was started with; none where it has ended."""
    try:
        return Path(f"/proc/{process}/environ").read_text(errors="replace").split("\0")
    except OSError:
        return []


def listens_at(process: int) -> list[str]:
    """Addresses at which a process listens for TCP, as the kernel writes them, in hexadecimal."""
    links = [os.readlink(file) for file in Path(f"/proc/{process}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            address, state, inode = columns[1], columns[3], columns[9]
            if state == "0A" and inode in inodes:
                found.append(address.split(":")[0])
    return found


def is_loopback(address: str) -> bool:
    """127.x.x.x, whose first byte the kernel writes last, or ::1."""
    return address.endswith("7F") if len(address) == 8 else address == "0" * 24 + "01000000"


def wait_until(
    ask: Callable[[], T], what: str, seconds: float, explain: Callable[[], str] = str
) -> T:
    """Ask until the answer is true; fails with an explanation when the time is over."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"{seconds} s waited for {what}: {explain()}"
        time.sleep(0.05)
    return answer
