"""Several runs in one job: each has its own exit status, and what was stopped goes on."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run.queue.in_job import pack, status
from lightning_transformer.compare.run.queue.orders import Exit, Orders, RunOrder, read_exit


class Ended:
    def __init__(self, code):
        self.status = code

    def code(self):
        return self.status


class Starter:
    """Starts runs that end at once with the code that their only word is."""

    def __init__(self, lock, *, preload):
        self.started = []

    def start(self, arguments, env, log):
        return Ended(int(arguments[0]))


class Queue:
    def living(self):
        return {}


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """Give `orders(*codes)`, with which its runs end."""
    monkeypatch.setattr(status, "code_sha256", lambda: "code")
    monkeypatch.setattr(pack, "ProcessStarter", Starter)
    monkeypatch.setattr(pack, "POLL_SECONDS", 0.0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")

    def orders(*codes):
        runs = [RunOrder(f"r{i}", [str(c)], f"c{i}", f"t.{i}") for i, c in enumerate(codes)]
        found = Orders(str(tmp_path), "slurm", "code", "", "t", runs)
        found.write()
        return found

    return orders


def exits(found):
    return [read_exit(found.place, run.exit_name) for run in found.runs]


def test_each_run_leaves_its_own_status(orders):
    found = orders(0, 1, -9)
    assert pack.work(found, Queue(), 0) == 0
    assert exits(found) == [Exit(0), Exit(1), Exit(-9)]


def test_stopped_runs_have_the_job_queued_again_and_the_others_are_not_repeated(orders):
    found = orders(0, 143)
    assert pack.work(found, Queue(), 0) == 143
    assert exits(found) == [Exit(0), None]
    again = orders(5, 0)  # the first would now end with 5
    assert pack.work(again, Queue(), 0) == 0
    assert exits(again) == [Exit(0), Exit(0)]


def test_cancelled_runs_are_not_gone_on_with(orders):
    found = orders(0, 143)
    found.cancel_file.touch()
    assert pack.work(found, Queue(), 0) == 0
    assert exits(found) == [Exit(143)] * 2  # neither was begun


def test_gpus_are_dealt_out_in_turn(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert [pack.environment(i)["CUDA_VISIBLE_DEVICES"] for i in range(3)] == ["4", "5", "4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pack.environment(1)["CUDA_VISIBLE_DEVICES"] == ""
