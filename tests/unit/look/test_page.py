"""The page, for every task and every source on disk."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.sources import _stdlib
from lightning_transformer.errors import ConfigError
from lightning_transformer.look.layout import GUTTER
from lightning_transformer.look.opened import OpenedData, open_data
from lightning_transformer.look.page import Page, percent
from lightning_transformer.look.readable import PLAIN, Signs
from tests.conftest import compose_config, options
from tests.helpers.variants import built_class, model_of, models_of, small, source_of

SMALL = ("tokenizer=bytes", "data.seq_len=96", "data.batch_size=4", "trainer=cpu")
WIDTH = 90


def task_of(source: str) -> str:
    """A task that reads the examples of a source."""
    example = built_class("data", source).example
    if isinstance(example, property):  # a mixture, of texts here
        example = Tokens
    return next(t for t in options("task") if built_class("task", t).example is example)


def opened(source: str, task: str, folder: Path, *overrides: str) -> OpenedData:
    typed = [f"model={model_of(task)}", f"task={task}", f"data={source}"]
    cfg = compose_config(*typed, *SMALL, *small("data", source, folder), *overrides)
    return open_data(cfg, {"task": task, "data": source})


def page_of(data: OpenedData, signs: Signs, most: int = 0, width: int = WIDTH) -> Page:
    return Page(Console(file=io.StringIO(), width=width), data, signs, most)


def text_of(page: Page) -> str:
    assert isinstance(page.console.file, io.StringIO)
    return page.console.file.getvalue()


def summary(data: OpenedData, signs: Signs, n: int = 3) -> str:
    page = page_of(data, signs)
    page.summary(n)
    return text_of(page)


def first_step(data: OpenedData, most: int = 0, width: int = WIDTH) -> str:
    page = page_of(data, Signs(), most, width)
    page.step(0)
    return text_of(page)


@pytest.fixture(autouse=True)
def few_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = _stdlib.source_files()[::10]
    monkeypatch.setattr(_stdlib, "source_files", lambda: files)
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.parametrize("source", options("data"))
def test_every_source_can_be_looked_at(source: str, tmp_path: Path) -> None:
    data = opened(source, task_of(source), tmp_path)
    for signs in (Signs(), PLAIN):
        text = summary(data, signs)
        text.encode(signs.encoding)  # nothing that the console would have to spell out
        for split in data.data.splits.values():
            assert f" {len(split):,}" in text
        assert text.count("\nreads") >= 3
        assert max(map(len, text.splitlines())) <= max(WIDTH, len(" ".join(data.said)) + 2)


def target_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match("(target|label) ", line)]


def shown_targets(text: str) -> list[str]:
    """The cells of all lines of targets or labels, without the places that have none."""
    asked = target_lines(text)
    return [cell for line in asked for cell in line[GUTTER:].split() if cell not in "·│"]


def check_targets(task: str, model: str, folder: Path) -> None:
    source = source_of(built_class("task", task).example)
    data = opened(source, task, folder, f"model={model}")
    batches = data.loaders()[0].batches(0)
    if any(batch.labels.shape[1:] != batch.input_ids.shape[1:] for batch in batches):
        n_rows = sum(len(batch.input_ids) for batch in batches)  # a label, or several, of each
        assert len(target_lines(first_step(data))) == n_rows > 0
    else:
        n_targets = sum(int(batch.n_targets) for batch in batches)
        assert len(shown_targets(first_step(data))) == n_targets > 0
    assert summary(data, Signs(), 1).count("\nreads") >= 1


@pytest.mark.parametrize("task", options("task"))
def test_every_task_shows_what_its_loss_counts(task: str, tmp_path: Path) -> None:
    check_targets(task, model_of(task), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "model"), [(task, model) for task in options("task") for model in models_of(task)]
)
def test_on_every_model_too(task: str, model: str, tmp_path: Path) -> None:
    check_targets(task, model, tmp_path)


def test_targets_stand_below_the_hidden_tokens(tmp_path: Path) -> None:
    data = opened(source_of(built_class("task", "masked_lm").example), "masked_lm", tmp_path)
    hidden = (data.loaders()[0].batches(0)[0].labels[0] != -100).numpy()
    lines = first_step(data, width=10_000).splitlines()
    above = next(line for line in lines if line.startswith("reads"))
    below = next(line for line in lines if line.startswith("target"))
    columns = [m.start() for m in re.finditer(r"\S+", above)][1:]
    has_target = np.array([below[at : at + 1] not in ("·", "", " ") for at in columns])
    assert hidden.sum() > 0
    assert (has_target == hidden).all()


def test_what_is_not_shown_is_counted(tmp_path: Path) -> None:
    data = opened("copy", "completion", tmp_path, "data.min_length=9")
    batch = data.loaders()[0].batches(0)[0]
    n_read = int((batch.input_ids[0] != data.data.vocabulary.pad_id).sum())
    n_targets = int((batch.labels[0] != -100).sum())
    said = f"{n_read - 5} more tokens, {n_targets} with a target"
    assert said in first_step(data, most=5)


def test_a_split_without_targets_is_shown_and_said_to_be_refused(tmp_path: Path) -> None:
    source = source_of(built_class("task", "masked_lm").example)
    data = opened(source, "masked_lm", tmp_path, "task.mask_rate=0.00000001")
    assert "training is refused: " in summary(data, Signs())


def test_repeated_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="repeats the first examples"):
        opened("copy", "completion", tmp_path, "debug=overfit")


@pytest.mark.parametrize(
    ("n", "total", "shown"),
    [(0, 9, "0 %"), (9, 9, "100 %"), (1, 8, "12.5 %"), (1, 100_000, "0.001 %"), (0, 0, "0 %")],
)
def test_small_shares_are_not_nothing(n: int, total: int, shown: str) -> None:
    assert percent(n, total) == shown
