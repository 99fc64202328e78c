"""One process owns a run folder, and its death is noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs import lock
from lightning_transformer.runs.lock import InUse, Owner, RunLock, read_owner
from tests.helpers.short_runs import environment

HOLD = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from lightning_transformer.runs.lock import RunLock\n"
    "RunLock(Path(sys.argv[1]), 'digest').acquire()\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    call = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_is_held_by_one_process_which_is_named(tmp_path, holder):
    with pytest.raises(InUse) as found:
        RunLock(tmp_path / "run", "other").acquire()
    assert isinstance(found.value, ConfigError)
    assert f"process {holder.pid}, since 2" in str(found.value)
    assert f"kill {holder.pid}" in str(found.value)
    assert found.value.owner == read_owner(tmp_path / "run")
    assert found.value.owner.config_sha256 == "digest"


def test_the_folder_of_a_killed_process_is_free_at_once(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert read_owner(tmp_path / "run").pid == holder.pid
    mine = RunLock(tmp_path / "run", "mine")
    mine.acquire()
    assert read_owner(tmp_path / "run").pid == os.getpid()
    mine.release()


def test_after_the_release_nothing_is_left(tmp_path):
    mine = RunLock(tmp_path / "run", "mine")
    mine.acquire()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [".lock", ".owner.json"]
    mine.release()
    assert list((tmp_path / "run").iterdir()) == []
    again = RunLock(tmp_path / "run", "again")
    again.acquire()
    again.release()


def test_a_process_that_was_forked_meanwhile_holds_nothing(tmp_path):
    mine = RunLock(tmp_path / "run", "mine")
    mine.acquire()
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    try:
        mine.release()
        again = RunLock(tmp_path / "run", "again")
        again.acquire()
        again.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# -- another host: only its signs of life can be seen ----------------------------------------------


def held_abroad(folder):
    """A folder as a process of another host leaves it, alive or dead."""
    folder.mkdir()
    marker = "filelock/2\npid=7\nhost=elsewhere\nmode=lease\ntoken=abc\nduration=0.5\nstart=1\n"
    (folder / lock.LOCK_FILE).write_text(marker)
    owner = {"host": "elsewhere", "namespace": 1, "pid": 7, "since": "noon", "config_sha256": "x"}
    (folder / lock.OWNER_FILE).write_text(json.dumps(owner))


def test_a_dead_process_of_another_host_is_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lock, "LEASE", 0.5)
    held_abroad(tmp_path / "run")
    mine = RunLock(tmp_path / "run", "mine")
    mine.acquire()
    assert "held by process 7 on elsewhere, since noon; waiting" in capsys.readouterr().err
    assert read_owner(tmp_path / "run").pid == os.getpid()
    mine.release()


def test_a_living_process_of_another_host_is_not_disturbed(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "LEASE", 0.5)
    held_abroad(tmp_path / "run")
    mine = RunLock(tmp_path / "run", "mine")
    beats = iter(range(100))
    monkeypatch.setattr(mine, "_beat", lambda: next(beats))
    with pytest.raises(InUse, match=r"process 7 on elsewhere.* if that host is gone, delete"):
        mine.acquire()
    assert read_owner(tmp_path / "run").host == "elsewhere"


def test_two_containers_of_one_host_name_are_two_hosts():
    mine = Owner.this("x")
    assert mine.is_here()
    other = Owner(mine.host, mine.namespace + 1, mine.pid, mine.since, "x")
    assert not other.is_here()
    assert f"on {mine.host}" in str(other)


def test_a_note_that_cannot_be_read_names_nobody(tmp_path):
    assert read_owner(tmp_path) is None
    for text in ("", "[]", '{"host": "a"}', "null"):
        (tmp_path / lock.OWNER_FILE).write_text(text)
        assert read_owner(tmp_path) is None


def test_a_process_that_was_taken_for_dead_leaves(tmp_path):
    """A lease of half a second, taken over by hand: the first owner ends with exit code 1."""
    code = HOLD.replace(
        "RunLock(Path", "import lightning_transformer.runs.lock as l\nl.LEASE = 0.5\nRunLock(Path"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout.readline() == "held\n"
        (tmp_path / "new").write_text((tmp_path / "run" / lock.LOCK_FILE).read_text())
        (tmp_path / "new").replace(tmp_path / "run" / lock.LOCK_FILE)
        assert process.wait(120) == 1
        assert "was taken over by" in process.stderr.read()
