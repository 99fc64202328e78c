"""Jobs that leave in a folder what a run leaves, without a process and without training."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lightning_transformer.compare.run.outcome import Job, Outcome
from lightning_transformer.compare.run.plan import Plan
from lightning_transformer.compare.run.request import Request
from lightning_transformer.compare.run.scheduler import Pool
from lightning_transformer.compare.run.state import open_state
from lightning_transformer.compare.run.variants import PLACEBO, Variant
from lightning_transformer.runs.result import RunResult

Loss = Callable[[dict[str, str], int], float | None]  # of overrides and step; None = it diverges


def request(**changes) -> Request:
    """Two norms, two seeds, rates chosen."""
    asked = {
        "shared": (),
        "swept": {"norm": ("a", "b")},
        "seeds": (1, 2),
        "budget": None,
        "baseline": {"norm": "a"},
        "lr": "sweep3",
        "placebo": False,
        "halving": None,
        "workers": None,
        "name": "try",
        "dry_run": False,
        "config_dirs": (),
    }
    asked |= changes
    return Request(**({"first": len(asked["seeds"])} | asked))


def plan(*labels: str, steps: int = 80, val_every: int = 10, **changes) -> Plan:
    """A plan for these norms; the first is the baseline."""
    labels = labels or ("a", "b")
    variants = [
        Variant(
            f"norm={name}",
            {"norm": name},
            (f"norm={name}", f"trainer.max_steps={steps}"),
            steps,
            val_every,
            {"optimizer.lr": 0.01, "optimizer.muon_lr": 0.1},
            {"schedule.warmup_steps": 8},
            digest=name,
        )
        for name in labels
    ]
    if changes.get("placebo"):
        first = variants[0].__dict__
        variants.insert(1, Variant(**{**first, "label": PLACEBO}))
    asked = request(swept={"norm": labels}, baseline={"norm": labels[0]}, **changes)
    return Plan(asked, [v if asked.lr != "fixed" else _without_rates(v) for v in variants])


def _without_rates(variant: Variant) -> Variant:
    return Variant(**{**variant.__dict__, "rates": {}})


def as_dict(job: Job) -> dict[str, str]:
    """The overrides of a job."""
    return dict(text.lstrip("+").split("=", 1) for text in job.overrides)


def finished(loss: float, start: float = 5.0) -> Outcome:
    """The outcome of a job that has ended with this loss; guessing has that of the start."""
    return Outcome("finished", loss, start, loss > start, step=20, seconds=1.0)


@dataclass
class Process:
    """Has ended before anyone looks."""

    status: int = 0
    line: str = ""
    left: bool = False

    def code(self) -> int | None:
        return self.status

    def stop(self, *, at_once: bool) -> None:
        raise AssertionError("it has ended")

    def last_line(self) -> str:
        return self.line


@dataclass
class Jobs:
    """Starts jobs that end at once with the loss that `loss` gives.

    broken: folder to how many times it fails first. begun: folders in order of their start.
    """

    folder: Path
    loss: Loss
    broken: dict[str, int] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def start(self, job: Job, worker: int) -> Process:
        self.begun.append(job.folder)
        if self.broken.get(job.folder, 0) > 0:
            self.broken[job.folder] -= 1
            return Process(1, "error: the machine broke")
        place = self.folder / job.folder
        place.mkdir(parents=True, exist_ok=True)
        overrides = as_dict(job)
        loss = self.loss(overrides, job.steps)
        result = RunResult(overrides=list(job.overrides), steps=job.steps, seconds=1.0)
        last = job.until is None or overrides.get("callbacks.pause.step") is None
        if loss is None:
            result.status, result.error = "failed", "NonFinite: step 3 was not done"
            result.write(place)
            return Process(1, "error: step 3 was not done")
        result.status = "finished" if last else "stopped"
        result.metrics = {"val/loss": loss, "test/loss": loss}
        result.write(place)
        with (place / "metrics.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "train/loss", "val/loss"])
            writer.writerows([[1, 5.0, ""], [job.steps, "", loss]])
        return Process()


def pool(plan: Plan, folder: Path, state=None, n_workers: int = 2) -> Pool:
    """A pool with a new state."""
    folder.mkdir(parents=True, exist_ok=True)
    state = state or open_state(folder, plan, 1)
    state.write(folder)
    return Pool(plan, folder, state, n_workers)


def worked(plan: Plan, folder: Path, loss: Loss) -> tuple[Pool, Jobs]:
    """A pool that has done all there is to do."""
    jobs = Jobs(folder, loss)
    found = pool(plan, folder)
    found.load_outcomes()
    found.run(jobs.start, lambda line: None, lambda: None)
    return found, jobs
