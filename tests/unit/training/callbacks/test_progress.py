from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from rich.table import Table

from lightning_transformer.training.callbacks import progress as module
from lightning_transformer.training.callbacks.progress import (
    Display,
    PlainDisplay,
    RichDisplay,
    make_display,
    shorten,
)

VALUES = {"train/loss": 1.23456, "perf/tokens_per_s": 12345.6, "optim/lr": 0.1}


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def plain(**options):
    return PlainDisplay(Console(file=io.StringIO(), width=60), **options)


def lines(display):
    return display.console.file.getvalue().splitlines()


def test_plain_lines_come_at_their_pace_and_at_the_end(clock):
    display = plain(pause=10.0)
    display.start(20, 1020)
    for seconds, step in ((109.9, 120), (110.0, 220), (119.9, 320), (300.0, 420), (301.0, 1020)):
        clock[0] = seconds
        display.step(step, VALUES)
    assert lines(display) == [
        # 10 s for 200 steps leaves 40 s for 800.
        "step 220/1,020  loss 1.235  12,346 tokens/s  0:40 left",
        "step 420/1,020  loss 1.235  12,346 tokens/s  5:00 left",
        "step 1,020/1,020  loss 1.235  12,346 tokens/s  0:00 left",
    ]


def test_values_of_a_validation_and_a_loss_that_is_not_there(clock):
    display = plain(pause=0.0)
    display.start(0, 10)
    display.validated(1000, {"val/loss": 1.23456, "val/perplexity": 123456.0})
    display.step(1, {"perf/tokens_per_s": 1.0})
    assert lines(display) == [
        "step 1,000  val/loss 1.235  val/perplexity 1.235e+05",
        "step 1/10  loss -  1 tokens/s  0:00 left",
    ]


def test_a_sample_is_shown_as_it_is():
    display = plain()
    display.sample("[bold]given[/]", " two\nlines ", "")
    display.sample("", "\x1b[31mred\x07 bell", "x" * 500)
    assert lines(display) == [
        "given     [bold]given[/]",
        "output    two",
        "lines",
        "output    \ufffd[31mred\ufffd bell",
        "expected  " + "x" * 400 + " …",
    ]


def test_long_lines_are_not_broken_and_markup_is_understood():
    display = plain()
    display.say("[bold]" + "word " * 30 + "[/]end")
    assert lines(display) == ["word " * 30 + "end"]


def test_a_table_is_shown():
    display, table = plain(), Table(box=None)
    table.add_column("part")
    table.add_row("embedding")
    display.show(table)
    assert [line.strip() for line in lines(display)] == ["part", "embedding"]


def test_on_a_terminal_one_line_moves_and_validations_stay():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    display = RichDisplay(console)
    display.start(0, 100)
    display.step(50, VALUES)
    display.validated(50, {"val/loss": 2.5})
    display.stop()
    display.stop()  # as often as one likes
    written = console.file.getvalue()
    assert "step 50/100" in written
    assert "loss 1.235  12,346 tokens/s" in written
    assert "val/loss 2.5" in written
    # The moving line is gone, and the cursor is shown again.
    assert written.rstrip().endswith("\x1b[2K")
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1


@pytest.mark.parametrize(("terminal", "kind"), [(True, RichDisplay), (False, PlainDisplay)])
def test_the_display_suits_where_the_output_goes(monkeypatch, terminal, kind):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "JUPYTER_COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    assert type(make_display()) is kind


def test_the_silent_display_takes_all_and_says_nothing(capsys):
    display = Display()
    display.start(0, 1)
    display.step(1, VALUES)
    display.validated(1, VALUES)
    display.say("x")
    display.show(Table())
    display.sample("a", "b", "c")
    display.stop()
    assert capsys.readouterr() == ("", "")


def test_shorten():
    assert shorten("ab\ncd\te", limit=7) == "ab\ncd\te"
    assert shorten("abcdefgh", limit=7) == "abcdefg …"
    assert shorten("\x00\x1b\r\x85é字 ") == "\ufffd\ufffd\ufffd\ufffdé字 "
