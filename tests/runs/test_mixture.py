"""A whole run on a mixture: what it says and records of each part, and that it goes on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

import lightning_transformer as lt
from lightning_transformer.errors import ConfigError
from tests.helpers.short_runs import SHORT, difference, sentences, start


def typed(folder: Path, *overrides: str, weight: int = 3) -> list[str]:
    parts = []
    for name, seed, own in (("a", 0, weight), ("b", 1, 1)):
        path = folder / f"{name}.txt"
        path.write_text(".\n".join(sentences(300, seed)), encoding="utf-8")
        parts.append(f"{name}: {{data: text, path: '{path}', weight: {own}}}")
    kept = [text for text in SHORT if not text.startswith("data=")]
    mixed = ["data=mixture", f"data.parts={{{', '.join(parts)}}}", "cleaning=[length,leak_check]"]
    return [*kept, *mixed, *overrides]


def test_a_run_records_each_part_and_goes_on_exactly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = start(tmp_path / "whole", typed(tmp_path))
    seen = {name: part["examples"] for name, part in whole.data["parts"].items()}
    assert seen == {"a": 36, "b": 12}  # 6 steps of 8
    assert whole.data["parts"]["a"]["tokens"] == 36 * 16
    losses = [whole.metrics[f"test/{name}/loss"] for name in "ab"]
    total = whole.metrics["test/loss"]
    assert None not in (*losses, total)
    assert min(losses) < total < max(losses)  # type: ignore[type-var, operator]
    said = capsys.readouterr().out
    assert "75.00% of the examples" in said
    assert "a: cleaning length: 3 documents, none changed or removed" in said
    assert "all parts: leak check: 0 of 2 test documents" in said
    stages = [(entry["part"], entry["stage"]) for entry in whole.data["cleaning"]]
    assert stages == [("a", "length"), ("b", "length"), (None, "leak_check")]
    own = {name: value for name, value in whole.metrics.items() if name.startswith("test/")}
    assert lt.evaluate(tmp_path / "whole")["metrics"] == own

    half = tmp_path / "half"
    start(half, typed(tmp_path, "trainer.max_steps=3", "schedule=constant"))
    on = start(half, typed(tmp_path, "schedule=constant", "trainer.accumulate=1"), resume=True)
    once = start(tmp_path / "once", typed(tmp_path, "schedule=constant"))
    assert on.samples_sha256 == once.samples_sha256 == whole.samples_sha256
    assert on.data["parts"] == once.data["parts"]
    assert difference(half, tmp_path / "once") == 0.0

    with pytest.raises(ConfigError, match="the data have changed since step 6"):
        start(half, typed(tmp_path, "schedule=constant", weight=2), resume=True)


def test_a_callback_may_train_on_a_few_examples_alone(tmp_path: Path) -> None:
    overfit = "lightning_transformer.training.debug.overfit.Overfit"
    result = start(tmp_path / "few", typed(tmp_path, f"+callbacks.overfit._target_={overfit}"))
    assert result.status == "finished"
    assert "parts" not in result.data
