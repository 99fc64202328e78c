"""The page that says what is in the data, and shows examples."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lightning_transformer.look.counts import SplitCounts, count_split, histogram
from lightning_transformer.look.layout import lines
from lightning_transformer.look.opened import OpenedData
from lightning_transformer.look.readable import Signs
from lightning_transformer.look.rows import DIM, Reader, Row
from lightning_transformer.tasks.base import Task
from lightning_transformer.tasks.token_task import TokenTask

BAR = 32  # letters of the longest
MOST_LABELS = 12


class Page:
    """Prints to a console; signs: of its encoding. most: tokens of an example, 0 = all."""

    def __init__(self, console: Console, opened: OpenedData, signs: Signs, most: int) -> None:
        self.console, self.opened, self.signs = console, opened, signs
        self.reader = Reader(opened.task, signs, most)

    def say(self, line: str | Text = "", style: str = "") -> None:
        """Print a line, however long it is."""
        self.console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def title(self, text: str, beside: str = "") -> None:
        """A heading of a part."""
        self.say()
        self.say(Text.assemble((text, "bold"), (f"  {beside}" if beside else "", DIM)))

    def summary(self, n_examples: int) -> None:
        """Counts of all splits, lengths, what was said while reading, and examples."""
        opened, counts = self.opened, dict(self._counts())
        self.say()
        self.console.print(counts_table(counts, opened.task))
        self._lengths(counts["train"])
        self._labels(counts["train"])
        if opened.said or opened.refused:
            self.title("While reading")
            for line in opened.said:
                self.say(f"  {line}")
            if opened.refused:
                self.say(f"  training is refused: {opened.refused}", "red")
        if n_examples:
            self.examples(n_examples)
        self.say()
        self.say(first_batch_line(opened), DIM)

    def _counts(self) -> Iterator[tuple[str, SplitCounts]]:
        data, task = self.opened.data, self.opened.task
        n_steps = max(1, len(data.splits["train"]) // data.batch_size)
        batches: dict[str, Callable[[], Any]] = {
            "train": lambda: (b for _, micro in self.opened.first(n_steps) for b in micro),
            "val": data.val_dataloader,
            "test": data.test_dataloader,
        }
        for split in data.splits:
            yield split, count_split(data, split, task, batches[split]())

    def _lengths(self, counts: SplitCounts) -> None:
        bins = histogram(counts.lengths)
        if len(bins) < 2:
            return
        self.title("Lengths", f"tokens of a training {counts.measured}")
        most, digits = max(n for _, _, n in bins), len(f"{bins[-1][1]:,}")
        for low, high, n in bins:
            upto = f"{self.signs.dash}{high:<{digits},}" if high > low else " " * (1 + digits)
            self._bar(f"{low:>{digits},}{upto}", n / most, f"{n:,}")

    def _bar(self, name: str, share: float, value: str) -> None:
        bar = draw_bar(share, self.signs)
        self.say(Text.assemble(f"  {name}  ", (bar, "cyan"), f"{' ' if bar else ''}{value}"))

    def _labels(self, counts: SplitCounts) -> None:
        """How often each class or tag is the label, or where numbers lie."""
        if not counts.batches.labels:
            return
        values = np.concatenate(counts.batches.labels)
        if not len(values):
            return
        beside = f"of {len(values):,} targets in {counts.batches.n_batches:,} training batches"
        self.title("Labels", beside)
        if not np.issubdtype(values.dtype, np.integer) or not self.opened.task.labels:
            low, mean, high = float(values.min()), float(values.mean()), float(values.max())
            self.say(f"  mean {mean:.4g}, deviation {values.std():.4g}, {low:.4g} to {high:.4g}")
            return
        names = self.opened.task.labels
        counted = np.bincount(values, minlength=len(names))
        order = np.argsort(-counted, kind="stable")
        width = max(len(self.signs.show(names[n])) for n in order[:MOST_LABELS])
        for n in order[:MOST_LABELS]:
            name, share = self.signs.show(names[n]), counted[n] / counted.max()
            self._bar(f"{name:{width}}", share, percent(counted[n], len(values)))
        if len(order) > MOST_LABELS:
            self.say(f"  and {len(order) - MOST_LABELS:,} more", DIM)

    def examples(self, n: int) -> None:
        """The first row of each of the first n steps, which has the padding of its batch."""
        loader = self.opened.loaders()[0]
        self.title("Examples", "the first of each training step, as the model gets it")
        for step, micro in self.opened.first(n):
            epochs, numbers = loader.samples(step)
            row = next(self.reader.rows(micro[0]))
            self._row(row, f"step {step + 1}", int(epochs[0]), int(numbers[0]))

    def step(self, step: int) -> None:
        """All samples of a step, from 0, with the rank and micro-batch that they are in."""
        loaders, n_micro = self.opened.loaders(), self.opened.accumulate
        epochs, numbers = loaders[0].samples(step)
        places = iter(zip(epochs.tolist(), numbers.tolist(), strict=True))
        size = self.opened.data.batch_size // self.opened.n_ranks // n_micro
        for rank, loader in enumerate(loaders):
            for micro, batch in enumerate(loader.batches(step)):
                if len(loaders) > 1 or n_micro > 1:
                    where = f"rank {rank}, " if len(loaders) > 1 else ""
                    self.title(
                        f"{where}micro-batch {micro + 1} of {n_micro}", plural(size, "example")
                    )
                here = list(islice(places, size))  # several rows of one example come round by round
                for i, row in enumerate(self.reader.rows(batch)):
                    self._row(row, str(i + 1), *here[i % len(here)])

    def _row(self, row: Row, name: str, epoch: int, number: int) -> None:
        facts = f"example {number:,} of pass {epoch + 1:,}, {plural(row.n_tokens, 'token')}, "
        self.say()
        self.say(
            Text.assemble((name, "bold"), (f"  {facts}{plural(row.n_targets, 'target')}", DIM))
        )
        for line in lines(row, self.console.width, self.signs.border):
            self.say(line)


def plural(n: int, word: str) -> str:
    """1 token, 2 tokens."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def draw_bar(share: float, signs: Signs) -> str:
    """A bar of up to BAR letters."""
    eighths = round(share * BAR * 8)
    eighths = max(eighths, 1) if share > 0 else 0
    rest = signs.bars[eighths % 8].strip()
    return signs.bars[8] * (eighths // 8) + rest


def counts_table(counts: Mapping[str, SplitCounts], task: Task) -> Table:
    """A column per split."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("")
    for split in counts:
        table.add_column(split, justify="right")

    def add(name: str, show: Callable[[SplitCounts], str], style: str = "") -> None:
        table.add_row(Text(name, DIM), *(Text(show(one), style) for one in counts.values()))

    add("documents", lambda c: "-" if c.n_documents is None else f"{c.n_documents:,}")
    add("examples", lambda c: f"{c.n_examples:,}")
    add("tokens", lambda c: f"{c.n_tokens:,}")
    add("bytes", lambda c: f"{c.n_bytes:,}" if c.text.all else f"about {c.n_bytes:,}")
    first = next(iter(counts.values()))
    table.add_row()
    table.add_row(Text(f"tokens of a{'n' * (first.measured[0] in 'aeiou')} {first.measured}", DIM))
    for name, share in (("shortest", 0), ("median", 50), ("95 %", 95), ("longest", 100)):
        add(f"  {name}", lambda c, share=share: f"{_percentile(c.lengths, share):,}")  # type: ignore[misc]
    table.add_row()
    add("tokens per word", lambda c: _ratio(c.text.n_tokens, c.text.n_words))
    add("tokens per byte", lambda c: _ratio(c.text.n_tokens, c.text.n_bytes))
    add("unknown tokens", lambda c: percent(c.text.n_unknown, c.text.n_tokens))
    add("padding", lambda c: percent(c.batches.n_places - c.batches.n_tokens, c.batches.n_places))
    if isinstance(task, TokenTask):
        add("targets", lambda c: percent(c.batches.n_targets, c.batches.n_tokens))
    return table


def _percentile(lengths: np.ndarray, share: float) -> int:
    return int(np.percentile(lengths, share, method="nearest")) if len(lengths) else 0


def _ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b else "-"


def percent(n: float, total: float) -> str:
    """A share; one that is small but not 0 keeps a digit that says so."""
    share = 100 * n / max(1, total)
    if share in (0, 100):
        return f"{share:.0f} %"
    return f"{share:.1f} %" if 0.05 <= share < 99.95 else f"{share:.6g} %"


def first_batch_line(opened: OpenedData) -> str:
    """Time and memory to the first batch."""
    memory = ""
    if opened.n_bytes is not None and opened.before is not None:
        memory = f" and {opened.n_bytes / 1e6:,.0f} MB"
        memory += f", beside {opened.before / 1e6:,.0f} MB of the program itself"
    return f"first batch after {opened.seconds:.2f} s{memory}"
