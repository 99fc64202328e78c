"""A comparison that is killed again and again comes to what an undisturbed one comes to."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.short_runs import environment, history, short

KILLS = 10
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST = 2.0  # seconds of work before a kill
COMMAND = (
    "import sys; from lightning_transformer.compare.run.command import main; "
    "sys.exit(main(sys.argv[1:]))"
)
TYPED = (
    *("norm=layernorm,rmsnorm,none", "seeds=2", "lr=sweep3", "halving=3", "qk_norm=none"),
    *("optimizer.lr=0.03", "optimizer.muon_lr=0.2", "workers=2"),
)


def typed(folder: Path) -> list[str]:
    """A comparison of three variants with 22 runs of 18 steps at most."""
    kept = [text for text in short(folder) if "max_steps" not in text and "val_every" not in text]
    return [*TYPED, *kept, "trainer.max_steps=18", "trainer.val_every=2", "name=try"]


def begin(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    call = [sys.executable, "-c", COMMAND, *typed(folder.parent)]
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


def kill_at_random(folder: Path, draw: random.Random) -> tuple[int, int]:
    """Begin it, let it work a little, send a signal; the signal and the exit code."""
    process, before = begin(folder), n_begun(folder)
    while n_begun(folder) <= before and process.poll() is None:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, LONGEST))
    number = draw.choice(SIGNALS)
    process.send_signal(number)
    output, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL, 143, 130), output
    return number, process.returncode


def finish(folder: Path) -> Path:
    process = begin(folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return folder / "outputs" / "sweeps" / "try"


TIMES = ("seconds", "memory", "tokens_per_second", "facts")


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
        for key in ("seconds", "tokens_per_second", "peak_memory_bytes", "commit"):
            content.pop(key)
        content["overrides"] = [o for o in content["overrides"] if not o.startswith("resume=")]
        run = str(path.parent.relative_to(sweep))
        found[run] = content
        found[f"{run} history"] = history(path.parent)
    return found


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path):
    calm = numbers(finish(tmp_path / "calm"))
    draw = random.Random(5)
    ends = [kill_at_random(tmp_path / "killed", draw) for _ in range(KILLS)]
    # A signal that can be answered is.
    assert {code for number, code in ends if number == signal.SIGTERM} <= {143, 0}
    assert {code for number, code in ends if number == signal.SIGINT} <= {130, 0}
    killed = numbers(finish(tmp_path / "killed"))
    assert list(killed) == list(calm)
    for name in calm:
        assert killed[name] == calm[name], name
