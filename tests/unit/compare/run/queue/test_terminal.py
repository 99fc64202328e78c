"""Whether jobs stay in the queue when the command is stopped: asked where somebody can answer."""

from __future__ import annotations

import signal
import sys

import pytest

from lightning_transformer.compare.run.queue import terminal
from lightning_transformer.compare.run.queue.terminal import leave_jobs


@pytest.fixture
def answering(monkeypatch):
    """Give `answering(text)`: a terminal at which somebody types that, or presses Ctrl-C."""

    def answering(text):
        def typed(question):
            assert question.startswith("\nLeave 3 jobs in the queue?")
            if text is None:
                signal.raise_signal(signal.SIGINT)
            return text

        for stream in (sys.stdin, sys.stdout):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(terminal, "input", typed, raising=False)

    return answering


@pytest.mark.parametrize(
    ("text", "leaves"), [("", True), ("y", True), ("n", False), (" No ", False), (None, True)]
)
def test_the_answer_counts_and_leaving_is_the_default(answering, text, leaves):
    answering(text)
    before = signal.getsignal(signal.SIGINT)
    assert leave_jobs(3, "try", asks=True) is leaves
    assert signal.getsignal(signal.SIGINT) is before


def test_nobody_is_asked_without_a_terminal_or_by_another_program(answering):
    assert leave_jobs(3, "try", asks=True)
    answering("n")
    assert leave_jobs(3, "try", asks=False)
