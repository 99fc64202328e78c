"""How long a training step takes, of this tree and of others beside it, interleaved.

    python benchmarks/step.py [OVERRIDE ..] [--against CHECKOUT] [--rounds 8] [--steps 30]
    python benchmarks/step.py --each norm            all options of a group against the default

Forward, backward, clipping and optimizer of the default run, on data from its own loader; CPU
time, one thread, one process each, in turns. Prints the median and the ratio to the first.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--each", metavar="GROUP", help="all options of a group")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.overrides, args.steps)
        return
    found = {"this tree": Clock(ROOT, args.overrides, args.steps)}
    if args.against:
        found[str(args.against)] = Clock(args.against.resolve(), args.overrides, args.steps)
    if args.each:
        for file in sorted((ROOT / "conf" / args.each).glob("*.yaml")):
            choice = f"{args.each}={file.stem}"
            found[choice] = Clock(ROOT, [*args.overrides, choice], args.steps)
    times = race(found, args.rounds)
    first = times["this tree"]
    for name, values in times.items():
        ratio = median(b / a for a, b in zip(first, values, strict=True)) if values else None
        said = f"{1e3 * median(values):8.2f} ms  {ratio:.3f}" if ratio else "refused"
        print(f"{name:40} {said}")


class Clock:
    """A process that trains for some steps whenever it is asked to, and says how long one took."""

    def __init__(self, tree: Path, overrides: Sequence[str], steps: int) -> None:
        self.process = subprocess.Popen(
            # The tree's own script, which knows where its modules are.
            [sys.executable, "benchmarks/step.py", "--serve", f"--steps={steps}", *overrides],
            env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tree,
        )

    def seconds(self) -> float | None:
        """Of one step; None where the process has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print("go", file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return float(json.loads(line)) if line else None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def race(clocks: dict[str, Clock], rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each, round by round; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in clocks}
    for number in range(rounds + 1):
        for name, clock in clocks.items():
            seconds = clock.seconds()
            if number and seconds is not None:
                times[name].append(seconds)
    for clock in clocks.values():
        clock.stop()
    return times


def serve(overrides: Sequence[str], steps: int) -> None:
    """Train on when a line comes in; answer with the median CPU seconds of a step."""
    import torch

    from lightning_transformer.build import build, build_model
    from lightning_transformer.config.compose import composed, composer, register

    register()
    with composer():
        cfg = composed(("trainer.max_steps=1000000", *overrides))
    torch.set_num_threads(1)
    data = build(cfg, "data")
    data.prepare()
    model = build_model(cfg, vocabulary=data.vocabulary, labels=[], seed=1).train()
    data.connect({split: model.task.collator(split) for split in data.splits}, 1, 1)
    batches = iter(data.train_dataloader())
    optimizer = model.make_optimizer(model)
    for _ in sys.stdin:
        took = []
        for _ in range(steps):
            batch = next(batches)
            start = time.process_time()
            loss = model.task(model.features(batch), batch).objective / batch.step_targets
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            took.append(time.process_time() - start)
        print(json.dumps(median(took)), flush=True)


if __name__ == "__main__":
    main()
