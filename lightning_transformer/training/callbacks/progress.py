"""The console of a run: one line that moves in a terminal, plain lines elsewhere.

Lightning's RichProgressBar counts the batches of an epoch, where a run counts optimizer steps
("Epoch 2/-2" with max_steps), and writes nothing to a file or pipe before training has ended.
"""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


class Display:
    """Shows messages, tables and samples; a subclass shows step, loss, speed and time left too.

    console: None = nothing is shown.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(quiet=True)

    def start(self, step: int, total: int) -> None: ...

    def step(self, step: int, values: Mapping[str, float]) -> None: ...

    def validated(self, step: int, values: Mapping[str, float]) -> None: ...

    def stop(self) -> None: ...

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def show(self, table: Table) -> None:
        self.console.print(table)

    def sample(self, given: str, output: str, expected: str, reward: str = "") -> None:
        parts = {"given": given, "output": output, "expected": expected, "reward": reward}
        for name, text in parts.items():
            if text.strip():
                self.console.print(f"[dim]{name:9}[/]", end=" ")
                self.console.print(Text(shorten(text.strip())), soft_wrap=True)


class RichDisplay(Display):
    """One moving line at the bottom of a terminal; validations scroll away above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress: Progress | None = None

    def start(self, step: int, total: int) -> None:
        self._progress = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[values]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total, completed=step, values="")
        self._progress.start()

    def step(self, step: int, values: Mapping[str, float]) -> None:
        assert self._progress is not None
        self._progress.update(self._task, completed=step, values=_training_line(values))

    def validated(self, step: int, values: Mapping[str, float]) -> None:
        self.say(f"[dim]step {step:>7,}[/]  {_metrics_line(values)}")

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class PlainDisplay(Display):
    """A line per interval, for logs and pipes; at least `pause` seconds apart."""

    def __init__(self, console: Console, pause: float = 10.0) -> None:
        super().__init__(console)
        self.pause = pause
        self._last = 0.0

    def start(self, step: int, total: int) -> None:
        self._first, self._total = step, total
        self._began = self._last = time.perf_counter()

    def step(self, step: int, values: Mapping[str, float]) -> None:
        now = time.perf_counter()
        if now - self._last < self.pause and step < self._total:
            return
        self._last = now
        left = (now - self._began) / max(step - self._first, 1) * (self._total - step)
        self.say(f"step {step:,}/{self._total:,}  {_training_line(values)}  {_clock(left)} left")

    def validated(self, step: int, values: Mapping[str, float]) -> None:
        self.say(f"step {step:,}  {_metrics_line(values)}")


def make_display() -> Display:
    """The display that suits where standard output goes."""
    console = Console(file=sys.stdout, force_jupyter=False)
    return RichDisplay(console) if console.is_terminal else PlainDisplay(console)


def _training_line(values: Mapping[str, float]) -> str:
    loss = values.get("train/loss")
    shown = "loss -" if loss is None else f"loss {loss:.3f}"
    return f"{shown}  {values['perf/tokens_per_s']:,.0f} tokens/s"


def _metrics_line(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"


def shorten(text: str, limit: int = 400) -> str:
    """At most `limit` characters; of those that control a terminal only line breaks and tabs."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text[:limit])
    return shown if len(text) <= limit else shown + " …"
