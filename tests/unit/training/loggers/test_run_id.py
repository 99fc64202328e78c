"""The ids by which trackers know a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_transformer.training.loggers.run_id import RUN_IDS_FILE, remember, remembered


def test_each_tracker_has_its_own(tmp_path: Path) -> None:
    assert remembered(tmp_path, "wandb") is None
    remember(tmp_path, "wandb", "ab12cd34")
    remember(tmp_path, "mlflow", "0" * 32)
    assert remembered(tmp_path, "wandb") == "ab12cd34"
    assert remembered(tmp_path, "mlflow") == "0" * 32
    remember(tmp_path, "wandb", "other")
    assert remembered(tmp_path, "wandb") == "other"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"wandb": "../../x"}', "wandb has no valid id; remove the file"),
        ('{"wandb": 7}', "wandb has no valid id; remove the file"),
        ("[]", "is not the JSON that a run has written; remove it"),
        ("{", "is not the JSON that a run has written; remove it"),
    ],
)
def test_what_no_run_has_written_is_refused_in_one_line(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / RUN_IDS_FILE).write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        remembered(tmp_path, "wandb")
    assert str(tmp_path / RUN_IDS_FILE) in str(caught.value)
    assert "\n" not in str(caught.value)
