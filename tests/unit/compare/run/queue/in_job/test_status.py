"""Before and after a run, in its job: other code is refused, and the exit status stays."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run.queue.in_job import claim, code_digest, status
from lightning_transformer.compare.run.queue.orders import (
    Exit,
    Orders,
    RunOrder,
    read_exit,
    read_orders,
)


class Queue:
    """Knows of no job."""

    def living(self):
        return {}


class Both:
    def living(self):
        return {"5": "lt-token", "7": "lt-token"}


@pytest.fixture
def orders(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "code_sha256", lambda: "code")
    monkeypatch.setattr(status, "head", lambda: "b" * 12)
    monkeypatch.setattr(claim, "PATIENCE", 0.0)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    found = Orders(
        sweep=str(tmp_path),
        engine="slurm",
        code="code",
        commit="a" * 12,
        token="token",
        runs=[RunOrder("norm=a", ["norm=a"], "chain", "token.0")],
    )
    found.write()
    return found


def begun(orders):
    return status.begin(orders, orders.runs[0], Queue())


def ended(orders):
    return read_exit(orders.place, "token.0")


def test_orders_are_read_as_they_were_written(orders):
    assert read_orders(orders.file) == orders


def test_a_run_begins_and_leaves_its_exit_status_once(orders):
    assert begun(orders)
    assert ended(orders) is None
    status.end(orders, orders.runs[0], 1)
    assert ended(orders) == Exit(1)
    assert not begun(orders)  # its job was started again, for another run of it
    assert ended(orders) == Exit(1)


def test_a_job_of_other_code_refuses_to_run(orders, monkeypatch):
    monkeypatch.setattr(status, "code_sha256", lambda: "edited")
    assert not begun(orders)
    assert ended(orders) == Exit(
        2,
        "the code (bbbbbbbbbbbb) is another than the one (aaaaaaaaaaaa) that this comparison was "
        "started with; go back to that, or choose another name=",
    )


def test_a_cancelled_job_does_not_begin(orders):
    orders.cancel_file.touch()
    assert not begun(orders)
    assert ended(orders) == Exit(143)


def test_three_restarts_without_a_checkpoint_are_the_last(orders, tmp_path):
    assert [begun(orders) for _ in range(3)] == [True] * 3
    (tmp_path / "norm=a" / "checkpoints" / "step-20").mkdir(parents=True)
    (tmp_path / "norm=a" / "checkpoints" / ".tmp-step-30.tmp").mkdir()
    assert [begun(orders) for _ in range(4)] == [True] * 3 + [False]
    found = ended(orders)
    assert (found.code, found.line[:44]) == (76, "no progress between 3 restarts, from the che")
    assert "step 20" in found.line


def test_the_digest_changes_with_every_file_and_name(tmp_path):
    (tmp_path / "a").mkdir()
    files = {"a/b.py": "1", "c.yaml": "2"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    first = code_digest.code_sha256((tmp_path,))
    (tmp_path / "note.txt").write_text("x")
    assert code_digest.code_sha256((tmp_path,)) == first
    (tmp_path / "c.yaml").write_text("3")
    second = code_digest.code_sha256((tmp_path,))
    (tmp_path / "c.yaml").rename(tmp_path / "d.yaml")
    assert len({first, second, code_digest.code_sha256((tmp_path,))}) == 3


@pytest.mark.parametrize(
    ("answer", "lives"),
    [({"7": "lt-a", "5": "lt-a"}, True), ({"7": "lt-a"}, False), ({}, None), (None, None)],
)
def test_only_an_answer_that_knows_this_job_says_that_another_is_dead(orders, answer, lives):
    """The queue may have taken one job twice; both have its name."""
    queue = Queue()
    queue.living = lambda: answer
    me = status.this_job("token")
    assert status.asking(queue, me)(claim.Claimant("5", 0, "n1")) is lives


@pytest.mark.parametrize(("token", "found"), [("token", None), ("other", 75)])
def test_a_job_that_was_taken_twice_says_nothing_and_another_that_it_waits(orders, token, found):
    owner = claim.Claimant("5", 0, "n1", token)
    assert claim.claim(orders.place / "claims", "norm=a", owner, lambda owner: True) is None
    assert not status.begin(orders, orders.runs[0], Both())
    assert (ended(orders) and ended(orders).code) == found
