from __future__ import annotations

import pytest

from lightning_transformer.tasks.base import Sample
from lightning_transformer.training.callbacks.sample_writer import Samples, markdown
from tests.helpers.short_runs import short_pairs, short_run, start


def test_parts_stand_under_their_names_and_nothing_in_them_is_markup():
    text = markdown(Sample("# not a title\nsecond", "**not bold**", ""))
    assert text == ("**given**\n\n    # not a title\n    second\n\n**output**\n\n    **not bold**")
    assert markdown(Sample("a", "b", "c")).endswith("**expected**\n\n    c")


def test_as_many_as_asked_at_every_validation(tmp_path):
    asked = ("callbacks=default", "callbacks.samples.n=2", "trainer.val_every=2")
    short_run(tmp_path / "run", *asked)
    text = (tmp_path / "run" / "samples.md").read_text(encoding="utf-8")
    parts = text.split("## step ")[1:]
    assert [part.split("\n")[0] for part in parts] == ["2", "4", "6"]
    given = [part.split("**output**")[0].split("\n", 1)[1] for part in parts]
    assert [part.count("**given**") for part in parts] == [2, 2, 2]
    # The same prompts each time, so that a reader sees what changes.
    assert given[0] == given[1] == given[2]


def test_a_pair_shows_what_was_expected(tmp_path):
    start(tmp_path / "run", short_pairs(tmp_path, "callbacks=default", "trainer.max_steps=3"))
    text = (tmp_path / "run" / "samples.md").read_text(encoding="utf-8")
    assert text.count("**given**") == text.count("**expected**") == 3
    lines = set((tmp_path / "target").read_text().splitlines())
    expected = [part.strip().split("\n")[0].strip() for part in text.split("**expected**")[1:]]
    assert set(expected) <= lines


@pytest.mark.parametrize("n", [0, -1])
def test_none_at_all_is_another_option(n):
    with pytest.raises(ValueError, match=f"n={n} must be at least 1"):
        Samples(n=n)
