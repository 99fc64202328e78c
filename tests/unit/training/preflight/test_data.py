"""What the data of a run must have, and is told before training."""

from __future__ import annotations

import json

import pytest

from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import short_run

TASKS = {
    "labelled": ("model=encoder_only", "task=classification"),
    "conll": ("model=encoder_only", "task=tagging"),
}


def refused(folder, *typed: str) -> str:
    with pytest.raises(ConfigError) as caught:
        short_run(folder, *typed)
    result = read(folder)
    assert result is not None
    assert (result.status, result.steps) == ("failed", None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_label_is_refused_before_training(tmp_path):
    rows = "".join(json.dumps({"text": f"t {i}", "label": "x"}) + "\n" for i in range(200))
    (tmp_path / "f.jsonl").write_text(rows)
    typed = (*TASKS["labelled"], "data=labelled", f"data.path={tmp_path / 'f.jsonl'}")
    line = refused(tmp_path / "run", *typed)
    assert line.startswith("data: the label is 'x' in all ")
    assert line.endswith(
        "give data with two different labels or more, or choose their place by data.label_key"
    )


def test_one_tag_is_refused_before_training(tmp_path):
    (tmp_path / "f.conll").write_text("".join(f"w{i} X\nb X\n\n" for i in range(200)))
    typed = (*TASKS["conll"], "data=conll", f"data.path={tmp_path / 'f.conll'}")
    line = refused(tmp_path / "run", *typed)
    assert line.startswith("data: the tag is 'X' in all ")
    assert line.endswith("by data.tag_column")


def test_a_split_in_which_the_task_finds_no_target_is_refused(tmp_path):
    typed = ("model=encoder_only", "task=masked_lm", "trainer.max_steps=3")
    line = refused(tmp_path / "run", *typed, "task.mask_rate=1e-9")
    assert "examples of data.train has a target, so that its loss would be nan;" in line


def test_a_validation_split_without_targets_is_refused(tmp_path):
    (tmp_path / "f").write_text("some text " * 500)
    (tmp_path / "v").write_text("ab")
    typed = ("model=encoder_only", "task=masked_lm", "data=text", f"data.path={tmp_path / 'f'}")
    line = refused(tmp_path / "run", *typed, f"data.val_path={tmp_path / 'v'}")
    assert "none of the first 1 examples of data.val has a target" in line
