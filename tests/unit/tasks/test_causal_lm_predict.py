from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.generate.output import Output
from lightning_transformer.models.base import Transformer
from tests.unit.generate.folders import make_run
from tests.unit.generate.test_output import Terminal
from tests.unit.tasks.predicting import written


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    loaded = load_run(make_run(tmp_path_factory.mktemp("runs") / "lm", "causal_lm"))
    with torch.no_grad():  # printable text, and no end of it
        loaded.task.head.weight[256:] = 0.0
    return loaded.double()


def answers(model: Transformer, *texts: Any, **options: Any) -> str:
    return written(model, *texts, **options)[0]


def test_the_text_is_the_prompt_and_its_continuation(model: Transformer) -> None:
    said = answers(model, ("def ",), max_new_tokens=5, temperature=0.0)
    assert said.startswith("def ")
    assert said.endswith("\n")
    assert len(said) > len("def \n")
    again = answers(model, ("def ",), max_new_tokens=5, temperature=0.0)
    assert said == again


def test_a_sample_does_not_depend_on_how_many_there_are(model: Transformer) -> None:
    def said(prompts: tuple[str, ...], n_samples: int, batch_size: int) -> list[str]:
        options = {"n_samples": n_samples, "batch_size": batch_size, "max_new_tokens": 9}
        lines = answers(model, prompts, top_k=20, **options).split(">>")[1:]
        assert len(lines) == len(prompts) * n_samples
        return lines

    whole = said((">>a", ">>bcd"), 3, 32)
    assert whole == said((">>a", ">>bcd"), 3, 1) == said((">>a", ">>bcd"), 3, 4)
    assert whole[:1] == said((">>a",), 1, 32)
    assert len(set(whole[:3])) == 3


def test_seeds(model: Transformer) -> None:
    def said(seed: int | None) -> str:
        return answers(model, ("x",), max_new_tokens=20, seed=seed)

    assert said(None) == said(1)
    assert said(1) != said(2)


def test_a_terminal_shows_the_same_text_piece_by_piece(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    texts, options = ("über ", ""), {"n_samples": 2, "max_new_tokens": 40}
    shown, terminal = answers(model, texts, screen=Terminal(), **options), Terminal()
    Output(terminal).write(answers(model, texts, **options))
    headers = [line for line in shown.splitlines() if line.startswith("--- ")]
    assert headers == [f"--- prompt {i} of 2, sample {j} of 2 ---" for i in (1, 2) for j in (1, 2)]
    for header in headers:
        shown = shown.replace(header + "\n", "")
    assert shown == terminal.getvalue()


def test_one_text_has_no_header(model: Transformer) -> None:
    shown = answers(model, ("a",), max_new_tokens=3, screen=Terminal())
    assert "---" not in shown


def test_no_prompt_starts_from_the_end_of_text_token(model: Transformer) -> None:
    started = answers(model, ("",), max_new_tokens=9, temperature=0.0)
    assert started == answers(model, piped="\n", max_new_tokens=9, temperature=0.0)
    assert started == answers(model, max_new_tokens=9, temperature=0.0)
    assert started != answers(model, ("\n",), max_new_tokens=9, temperature=0.0)


def test_a_pipe_is_one_prompt(model: Transformer) -> None:
    said = answers(model, piped="a\nb\n", max_new_tokens=3)
    assert said.startswith("a\nb")
    assert not said.startswith("a\nb\n")


def test_a_long_prompt_keeps_its_end_and_says_so(model: Transformer) -> None:
    long = "x" * 30 + "the tail"
    text, remarks = written(model, (long, "short"), max_new_tokens=6, temperature=0.0)
    assert remarks == ("prompt 1: 38 tokens; the model remembers 16 and goes on from the last 8\n")
    tail = answers(model, ("the tail",), max_new_tokens=6, temperature=0.0)
    assert text.startswith("x" * 30 + tail)


def test_equal_samples_are_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="n_samples=3 greedy samples would all be the same"):
        answers(model, ("a",), n_samples=3, temperature=0.0)


def test_what_was_held_back_is_written_on_interruption(model: Transformer) -> None:
    class Impatient(Terminal):
        def write(self, piece: str) -> int:
            if len(self.getvalue()) > 6 and piece != "\n" and not piece.endswith("\n"):
                raise KeyboardInterrupt
            return super().write(piece)

    screen = Impatient()
    with pytest.raises(KeyboardInterrupt):
        answers(model, ("abc",), max_new_tokens=50, screen=screen)
    assert screen.getvalue().endswith("\n")
