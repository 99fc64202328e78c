"""python -m benchmarks QUESTION [..]: what our command costs, beside peers that do the same work.

step       a training step: our whole command against peers, by the difference of two lengths
memory     peak memory of the same commands
start      what a command costs before its first step: --help, a typo, --cfg job, one step
overhead   our loop against a bare loop around a model that costs nothing (overhead.py)
attention  layers with and without a state, by length (mixers.py)
tokenize   encoding a large text (corpus.py)
generate   a new token with a cache, beside peers (decoding.py)
adapters   a step of fine-tuning with adapters beside all weights (adapters.py)

step and memory: [--shapes a,b,c] [--against bare,transformers,trainer,nanogpt=PATH]
[--precision fp32|bf16] [--rounds 3] [--steps 20] [--json FILE]; the peers are in peer_loop.py. CPU
time or peak memory of each process, one thread, in turns; printed are medians over rounds
[least .. most] of peer / ours: above 1 we are ahead.
"""

import argparse
import json
import os
import platform
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.peers import problem
from benchmarks.shapes import SHAPES, overrides, write_data

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "overhead": "overhead",
    "attention": "mixers",
    "tokenize": "corpus",
    "generate": "decoding",
    "adapters": "adapters",
}
STARTS = {"--help": ["--help"], "a typo": ["nrom=rmsnorm"], "--cfg job": ["--cfg", "job"]}


@dataclass(frozen=True)
class Cost:
    """seconds: of CPU, user and system. mib: peak resident memory."""

    seconds: float
    mib: float


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in ELSEWHERE:
        sys.argv = sys.argv[1:]
        runpy.run_module(f"benchmarks.{ELSEWHERE[sys.argv[0]]}", run_name="__main__")
        return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("question", choices=["step", "memory", "start", *ELSEWHERE])
    parser.add_argument("--shapes", default="a,b,c")
    parser.add_argument("--against", default="bare")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if unknown := [value for value in args.shapes.split(",") if value not in SHAPES]:
        parser.error(f"--shapes={unknown[0]} is none of {', '.join(SHAPES)}")
    for peer in args.against.split(","):
        if why := problem(peer):
            parser.error(f"--against={peer} {why}")
    if min(args.rounds, args.steps) < 1:
        parser.error("--rounds and --steps are at least 1")
    print(f"{processor()}, one thread, {args.rounds} rounds")
    if args.question == "start":
        start(args.rounds)
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Print, and write as JSON, what peers cost beside our command."""
    peers, record = args.against.split(","), {}
    for name in args.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            write_data(SHAPES[name], Path(folder))
            found = rounds(name, peers, args, Path(folder))
        record[name] = found
        for who in ("ours", *peers):
            unit = f"{median(found[who]):9.1f} {'ms' if args.question == 'step' else 'MiB'}"
            ratios = [peer / own for own, peer in zip(found["ours"], found[who], strict=True)]
            spread = f"[{min(ratios):.2f} .. {max(ratios):.2f}]"
            print(
                f"({name}) {who.split('=')[0]:14} {unit}  {median(ratios):.2f} {spread}", flush=True
            )
    if args.json:
        about = {"question": args.question, "processor": processor(), "precision": args.precision}
        shapes = {name: asdict(SHAPES[name]) for name in record}
        args.json.write_text(json.dumps({**about, "shapes": shapes, "rounds": record}, indent=2))


def rounds(
    shape: str, peers: Sequence[str], args: argparse.Namespace, folder: Path
) -> dict[str, list[float]]:
    """Milliseconds of a step, or MiB, of each contender, round by round."""
    found: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
    for number in range(args.rounds):
        for who, values in found.items():

            def cost(steps: int, who: str = who, number: int = number) -> Cost:
                if who == "ours":
                    run = folder / f"run{number}_{steps}"
                    typed = overrides(SHAPES[shape], steps, folder, run, args.precision)
                    return measured(["-m", "lightning_transformer", *typed])
                file = str(folder / "tokens.npy")
                loop = "benchmarks.peer_loop"
                return measured(["-m", loop, who, shape, str(steps), file, args.precision])

            short = cost(2)
            if args.question == "memory":
                values.append(short.mib)
            else:
                more = cost(2 + args.steps).seconds - short.seconds
                values.append(1e3 * more / args.steps)
    return found


def start(n_rounds: int) -> None:
    """CPU seconds of commands that train nothing, and of one step of a small model."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(SHAPES["tiny"], Path(folder))
        for name, arguments in {**STARTS, "one step, evaluated": None}.items():
            seconds = []
            for number in range(n_rounds):
                run = Path(folder) / f"run{number}"
                typed = arguments or overrides(SHAPES["tiny"], 1, Path(folder), run, "fp32")
                command = ["-m", "lightning_transformer", *typed]
                seconds.append(measured(command, fails=name == "a typo").seconds)
            print(f"{name:22} {median(seconds):.2f} s [{min(seconds):.2f} .. {max(seconds):.2f}]")


def measured(arguments: Sequence[str], *, fails: bool = False) -> Cost:
    """Run Python with arguments, on one thread, and say what it cost."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if (process.returncode != 0) != fails:
        sys.exit(f"{' '.join(arguments)}\n{said.strip()}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def processor() -> str:
    """The processor, and what it can do for bfloat16."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    text = info.read_text(encoding="utf-8")
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in lines.items()}
    flags = named.get("flags", "").split()
    able = [
        word
        for flag, word in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16"))
        if flag in flags
    ]
    return f"{named.get('model name', platform.machine())} ({', '.join(able) or 'no bf16'})"


if __name__ == "__main__":
    main()
