"""Programs that are asked in a job: the answer comes back, or a line says why it does not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lightning_transformer.compare.run.queue import remote_ask
from lightning_transformer.compare.run.queue.engine import NotSubmitted
from lightning_transformer.compare.run.queue.remote_ask import ask_in_queue
from lightning_transformer.errors import ConfigError


class Queue:
    """Does a job at once, by bash, or loses it. reaches: whether its node sees the folder."""

    kind = "slurm"

    def __init__(self, *, reaches: bool = True, full: bool = False) -> None:
        self.reaches, self.full = reaches, full
        self.ended: list[str] = []

    def submit(self, script: str, name: str, log: Path) -> str:
        if self.full:
            raise NotSubmitted("no more jobs")
        if self.reaches:
            with log.open("w") as stream:
                subprocess.run(["bash"], input=script, text=True, stdout=stream, stderr=stream)
        return "7"

    def living(self) -> dict[str, str]:
        return {}

    def end(self, numbers: list[str], *, at_once: bool) -> None:
        self.ended += numbers


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(remote_ask, "EVERY", 0.0)
    monkeypatch.setattr(remote_ask, "GONE_AFTER", 0.0)


def asked(place, queue, module="json.tool"):
    """By default of a program that gives back what it reads."""
    return ask_in_queue(module, [7], place=place, engine=queue, wrap=str, say=lambda line: None)


def test_the_answer_comes_back_and_nothing_stays(tmp_path, monkeypatch):
    body = "{program} --compact < {question} > {answer} # {draft}"
    monkeypatch.setattr(remote_ask, "BODY", body)
    assert asked(tmp_path, Queue()) == [7]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_the_nodes_do_not_see_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^job 7 left nothing in .*: the nodes have to see this"):
        asked(tmp_path, Queue(reaches=False))


def test_a_program_that_fails_there_is_quoted(tmp_path):
    with pytest.raises(
        ConfigError, match=r"could not check the variants: .*No module named no_such"
    ):
        asked(tmp_path, Queue(), module="no_such")


def test_a_queue_that_takes_nothing_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"^the queue takes no job: no more jobs$"):
        asked(tmp_path, Queue(full=True))


def test_a_command_that_is_stopped_meanwhile_ends_the_job(tmp_path, monkeypatch):
    queue = Queue(reaches=False)

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(remote_ask, "GONE_AFTER", 60.0)
    monkeypatch.setattr(remote_ask.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        asked(tmp_path, queue)
    assert queue.ended == ["7"]
    assert json.loads(next(tmp_path.glob("*.in")).read_text()) == [7]
