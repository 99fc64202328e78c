"""Options of decoding as tasks read them: beams, stop strings, scores and drafts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lightning_transformer as lt
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.generate.__main__ import main
from lightning_transformer.tasks.predict import ScoredText
from tests.unit.generate.folders import make_run
from tests.unit.generate.test_output import Terminal
from tests.unit.tasks.predicting import written


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("runs")
    return {kind: make_run(place / kind, kind) for kind in ("causal_lm", "seq2seq")}


@pytest.mark.parametrize("kind", ["causal_lm", "seq2seq"])
def test_texts_of_the_api(kind: str, folders: dict[str, Path]) -> None:
    model = lt.load_run(folders[kind])
    texts, options = ["the cat", "a"], {"max_new_tokens": 8}
    best = model.generate(texts, beams=Beams(3, n_best=2), **options)
    assert len(best) == 4
    assert best[0] != best[1]
    scored = model.generate(texts, beams=Beams(3, n_best=2), scores=True, **options)
    assert all(isinstance(text, ScoredText) for text in scored)
    assert [text.text for text in scored] == best
    assert scored[0].score >= scored[1].score
    greedy = model.generate(texts, temperature=0.0, **options)
    drafted = model.generate(texts, temperature=0.0, draft=model, scores=True, **options)
    assert [text.text for text in drafted] == greedy
    plain = model.generate(texts, temperature=0.0, scores=True, **options)
    for one, other in zip(plain, drafted, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert one.tokens == other.tokens
        assert len(one.tokens) == len(one.logprobs)
    letter = next(c for c in greedy[0][1:] if c.isprintable() and not c.isspace())
    cut = model.generate(texts[0], temperature=0.0, stop=letter, **options)
    assert cut == [
        greedy[0][: greedy[0].index(letter)].strip()
        if kind == "seq2seq"
        else greedy[0][: greedy[0].index(letter)]
    ]
    with pytest.raises(ValueError, match="draft: speculative decoding is of one text at a time"):
        model.generate(texts, draft=model, beams=Beams())


def test_a_terminal_gets_the_same_text(folders: dict[str, Path], monkeypatch: Any) -> None:
    model = lt.load_run(folders["causal_lm"]).module
    monkeypatch.setenv("NO_COLOR", "1")
    for options in ({"stop": ("e", "q")}, {"beams": Beams(2)}, {"temperature": 0.0}):
        common: dict[str, Any] = {"max_new_tokens": 20, **options}
        plain, _ = written(model, ("ab",), **common)
        shown, _ = written(model, ("ab",), screen=Terminal(), **common)
        keep = [c for c in plain if c.isascii() and c.isprintable()]
        assert [c for c in shown if c.isascii() and c.isprintable()] == keep


def test_the_command(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    run = str(folders["causal_lm"])
    common = ["--prompt", "ab", "--max-new-tokens", "6"]
    assert main([run, *common, "--n-beams", "3", "--n-best", "3", "--scores"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["prompt"] for line in lines] == ["ab"] * 3
    assert lines == sorted(lines, key=lambda line: -line["score"])
    assert main([run, *common, "--greedy"]) == 0
    greedy = capsys.readouterr().out
    assert main([run, *common, "--greedy", "--draft", run, "--n-draft", "2"]) == 0
    assert capsys.readouterr().out == greedy
    assert main([run, *common, "--draft", str(folders["seq2seq"])]) == 2
    assert "the draft reads other prompts" in capsys.readouterr().err
    assert main([run, *common, "--draft", "no_such_run"]) == 2
    assert "no_such_run is not a run folder" in capsys.readouterr().err
