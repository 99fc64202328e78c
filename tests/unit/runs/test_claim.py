"""No two runs share a folder: names that are taken get a number."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from lightning_transformer.runs.claim import claim, claim_job, claim_new
from lightning_transformer.runs.lock import InUse
from lightning_transformer.runs.naming import numbered
from lightning_transformer.runs.result import RunResult


@pytest.fixture(autouse=True)
def held(monkeypatch):
    """Folders that another process holds: name -> digest; a process does not exclude itself."""
    import lightning_transformer.runs.claim as module

    folders: dict[str, str] = {}

    class Lock:
        def __init__(self, folder: Path, digest: str) -> None:
            self.folder, self.digest = folder, digest

        def acquire(self) -> None:
            if self.folder.name in folders:
                owner = module.InUse(self.folder, None)
                owner.owner = type("O", (), {"config_sha256": folders[self.folder.name]})()
                raise owner
            self.folder.mkdir(exist_ok=True)

        def release(self) -> None: ...

    monkeypatch.setattr(module, "RunLock", Lock)
    return folders


def test_numbers_go_on_from_a_numbered_name(tmp_path):
    names = [path.name for path in islice(numbered(tmp_path / "a"), 3)]
    assert names == ["a", "a~2", "a~3"]
    names = [path.name for path in islice(numbered(tmp_path / "a~2"), 3)]
    assert names == ["a~2", "a~3", "a~4"]


def test_a_folder_that_was_named_is_taken_or_refused(tmp_path, held):
    assert claim(tmp_path / "a", "x").folder == tmp_path / "a"
    held["a"] = "x"
    with pytest.raises(InUse):
        claim(tmp_path / "a", "x")


def test_a_new_run_takes_the_first_folder_without_one(tmp_path, held):
    held["a"] = "x"
    RunResult(config_sha256="x").write(claim(tmp_path / "a~2", "x").folder)
    assert claim_new(tmp_path / "a", "x").folder == tmp_path / "a~3"


def test_a_job_takes_the_folder_of_its_configuration(tmp_path, held):
    RunResult(config_sha256="one").write(claim(tmp_path / "a", "one").folder)
    assert claim_job(tmp_path / "a", "one").folder == tmp_path / "a"
    assert claim_job(tmp_path / "a", "two").folder == tmp_path / "a~2"
    (tmp_path / "a~2" / "result.json").write_text("{")  # someone's, whatever it was
    assert claim_job(tmp_path / "a", "two").folder == tmp_path / "a~3"


def test_a_job_that_another_process_is_at_is_left_to_it(tmp_path, held):
    held["a"] = "one"
    with pytest.raises(InUse):
        claim_job(tmp_path / "a", "one")
    assert claim_job(tmp_path / "a", "two").folder == tmp_path / "a~2"
