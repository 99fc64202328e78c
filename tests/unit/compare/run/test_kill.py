"""A comparison that is killed again and again comes to what an undisturbed one comes to."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.short_runs import environment, history, short

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST = 2.0  # seconds of work before a kill
COMMAND = (
    "import sys; from lightning_transformer.compare.run.command import main; "
    "sys.exit(main(sys.argv[1:]))"
)
TYPED = (
    *("qk_norm=none", "optimizer.lr=0.03", "optimizer.muon_lr=0.2", "workers=2"),
    *("trainer.max_steps=18", "trainer.val_every=2", "name=try"),
)
# Three variants with 22 runs of 18 steps at most.
HALVED = ("norm=layernorm,rmsnorm,none", "seeds=2", "lr=sweep3", "halving=3")
# Two, and then a third one and seeds until they are settled.
SMALL = ("norm=layernorm,rmsnorm", "seeds=3", "lr=fixed")
EXTENDED = ("norm=layernorm,rmsnorm,none", "seeds=3..5", "lr=fixed")


def begin(folder: Path, words: Sequence[str]) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    kept = [text for text in short(folder.parent) if "max_steps" not in text]
    kept = [text for text in kept if "val_every" not in text]
    call = [sys.executable, "-c", COMMAND, *words, *TYPED, *kept]
    return subprocess.Popen(
        call,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def n_begun(folder: Path) -> int:
    """What has been started and logged so far; grows while jobs work."""
    logs = folder.rglob("logs/**/*.txt")
    return sum(path.stat().st_size for path in [*logs, *folder.rglob("metrics.csv")])


def kill_at_random(folder: Path, words: Sequence[str], draw: random.Random) -> tuple[int, int]:
    """Begin it, let it work a little, send a signal; the signal and the exit code."""
    process, before = begin(folder, words), n_begun(folder)
    while n_begun(folder) <= before and process.poll() is None:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, LONGEST))
    number = draw.choice(SIGNALS)
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL, 143, 130), output
    return number, process.returncode


def finish(folder: Path, words: Sequence[str]) -> Path:
    process = begin(folder, words)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return folder / "outputs" / "sweeps" / "try"


TIMES = ("seconds", "memory", "tokens_per_second", "facts", "head")


def timeless(content: Any) -> Any:
    """Without what depends on the clock or on other programs."""
    if isinstance(content, dict):
        kept = {k: v for k, v in content.items() if not any(name in k for name in TIMES)}
        return {key: timeless(value) for key, value in kept.items()}
    if isinstance(content, list):
        return [timeless(item) for item in content if item_of(item) != "training time"]
    return content


def item_of(item: Any) -> Any:
    return item.get("what") if isinstance(item, dict) else None


def numbers(sweep: Path) -> dict[str, object]:
    """Everything that does not show time, by file."""
    found: dict[str, object] = {"comparison": (sweep / "comparison.json").read_bytes()}
    found["report"] = timeless(json.loads((sweep / "report.json").read_text()))
    for path in sorted(sweep.rglob("result.json")):
        if any(part.startswith("failed-") for part in path.parts):
            continue
        content = json.loads(path.read_text())
        # Someone may commit while this runs.
        for key in ("seconds", "tokens_per_second", "peak_memory_bytes", "commit", "ended"):
            content.pop(key)
        content["overrides"] = [o for o in content["overrides"] if not o.startswith("resume=")]
        run = str(path.parent.relative_to(sweep))
        found[run] = content
        found[f"{run} history"] = history(path.parent)
    return {name: content for name, content in found.items() if not begun_beside(name, found)}


def begun_beside(name: str, found: dict[str, Any]) -> bool:
    """Whether it is a screening run at a rate at which a seed before it has diverged.

    Whether it had begun beside that one is a matter of time, and no result depends on it.
    """
    rate, _, seed = name.removesuffix(" history").rpartition(",seed=")
    if not name.startswith("screening/"):
        return False
    earlier = (found.get(f"{rate},seed={n}") for n in range(9001, int(seed)))
    return any(content is not None and diverged(content) for content in earlier)


def diverged(content: dict[str, Any]) -> bool:
    loss = content["metrics"].get("val/loss")
    return content["status"] == "failed" or loss is None or loss > content["chance"]["val/loss"]


def killed(folder: Path, words: Sequence[str], n: int, draw: random.Random) -> None:
    ends = [kill_at_random(folder, words, draw) for _ in range(n)]
    # A signal that can be answered is.
    assert {code for number, code in ends if number == signal.SIGTERM} <= {143, 0}
    assert {code for number, code in ends if number == signal.SIGINT} <= {130, 0}


@pytest.mark.parametrize(
    ("parts", "n_kills"),
    [
        pytest.param((SMALL,), 2, marks=pytest.mark.slow, id="twice"),
        pytest.param((HALVED,), 5, marks=pytest.mark.thorough, id="halved, five"),
        pytest.param((SMALL, EXTENDED), 5, marks=pytest.mark.thorough, id="extended, five"),
    ],
)
def test_kills_change_nothing(tmp_path, parts, n_kills):
    """The second comparison is extended, before it has finished, where it was killed."""
    draw = random.Random(5)
    for words in parts:
        calm_folder = finish(tmp_path / "calm", words)
        killed(tmp_path / "killed", words, n_kills // len(parts), draw)
    killed(tmp_path / "killed", parts[-1], n_kills % len(parts), draw)
    calm, shaken = numbers(calm_folder), numbers(finish(tmp_path / "killed", parts[-1]))
    assert list(shaken) == list(calm)
    for name in calm:
        assert shaken[name] == calm[name], name
