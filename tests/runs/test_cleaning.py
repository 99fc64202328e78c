"""Runs on cleaned text: what they record, what they refuse, and what an evaluation reads."""

from __future__ import annotations

from pathlib import Path

import pytest

import lightning_transformer as lt
from lightning_transformer.config.compose import preflight, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import SHORT, sentences, start

DETECT = "tests.helpers.examples.detect"
LANGUAGE = "cleaning.language.detect._target_"
STAGES = "cleaning=[exact_duplicates,length,language,leak_check]"


def typed(folder: Path, *overrides: str) -> list[str]:
    lines = sentences(200, seed=0)
    (folder / "lines.txt").write_text("\n".join([*lines, *lines[:50]]), encoding="utf-8")
    kept = [text for text in SHORT if not text.startswith("schedule")]
    return [*kept, f"data.path={folder / 'lines.txt'}", "data.documents=line", *overrides]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cleaning")
    options = ["cleaning.length.min_chars=12", f"{LANGUAGE}={DETECT}"]
    start(folder / "run", typed(folder, STAGES, *options))
    return folder / "run"


def test_result_json_has_the_counts(run: Path) -> None:
    stages = read(run).data["cleaning"]
    names = [entry["stage"] for entry in stages]
    assert names == ["length", "exact_duplicates", "language", "leak_check"]
    lines = sentences(200, seed=0)
    lines += lines[:50]
    left = [line for line in lines if len(line) >= 12]
    for entry, n_in, n_out in (
        (stages[0], 250, len(left)),
        (stages[1], len(left), len(set(left))),
        (stages[2], len(set(left)), sum("the" in line for line in set(left))),
    ):
        of = entry["splits"].values()
        assert sum(split["documents_in"] for split in of) == n_in
        assert sum(split["documents_out"] for split in of) == n_out
        assert sum(sum(split["dropped"].values()) for split in of) == n_in - n_out
    assert stages[3]["found"]["ngram"] == 13
    assert set(stages[3]["found"]["overlaps"]["test"]["overlapping"]) == {"train", "val"}


def test_an_evaluation_reads_the_cleaned_text(run: Path) -> None:
    own = {name: value for name, value in read(run).metrics.items() if name.startswith("test/")}
    assert lt.evaluate(run, trust=["tests"])["metrics"] == own


def test_a_function_that_a_folder_names_needs_trust(run: Path) -> None:
    with pytest.raises(
        (ConfigError, ValueError), match=r"language\.detect\._target_=tests\..*--trust"
    ):
        lt.evaluate(run)


def refusal(folder: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        start(folder / "run", typed(folder, *overrides))
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_stage_that_removes_everything_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "cleaning=gopher_quality")
    assert "cleaning.gopher_quality removes all" in message
    assert "documents of the test split that reach it (fewer than 50 words" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cleaning=length", "cleaning.length.min_chars=0"], "min_chars=0 must be at least 1"),
        (["cleaning=gopher_repetition", "cleaning.gopher_repetition.top_ngram_chars=0.2"],
         "top_ngram_chars=0.2 must be a list"),
        (["data.cleaning=unicode"], "write cleaning=unicode"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    assert message in refusal(tmp_path, *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cleaning=unicode"], "cleaning=unicode has no effect here"),
        (["data=text", "data.path=x", "cleaning=unicod"], "did you mean unicode"),
        (["data=text", "data.path=x", "cleaning=language"],
         f"{LANGUAGE} has no value yet"),
        (["data=text", "data.path=x", "cleaning=language", f"{LANGUAGE}=no.f"],
         "there is no package no"),
        (["data=text", "data.path=x", "cleaning=[none,unicode]"], "write cleaning=unicode"),
        (["data=text", "data.path=x", "cleaning=length", "cleaning.length.min=3"],
         "unknown key cleaning.length.min"),
    ],
)  # fmt: skip
def test_what_cannot_compose_is_refused_before_anything_starts(
    overrides: list[str], message: str
) -> None:
    register()
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        preflight(overrides)
