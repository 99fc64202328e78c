from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.generate.answer.causal_lm import answer
from lightning_transformer.generate.arguments import GenerateRequest
from lightning_transformer.generate.output import Output
from lightning_transformer.models.base import Transformer
from tests.unit.generate.folders import make_run
from tests.unit.generate.test_output import Terminal

RUN = Path("RUN")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    loaded = load_run(make_run(tmp_path_factory.mktemp("runs") / "lm", "causal_lm"))
    with torch.no_grad():  # printable text, and no end of it
        loaded.task.head.weight[256:] = 0.0
    return loaded.double()


def answers(model: Transformer, request: GenerateRequest, text: io.StringIO | None = None) -> str:
    text = io.StringIO() if text is None else text
    answer(model, request, Output(text, io.StringIO()))
    return text.getvalue()


def test_the_text_is_the_prompt_and_its_continuation(model: Transformer) -> None:
    said = answers(model, GenerateRequest(RUN, ("def ",), max_new_tokens=5, temperature=0.0))
    assert said.startswith("def ")
    assert said.endswith("\n")
    assert len(said) > len("def \n")
    again = answers(model, GenerateRequest(RUN, ("def ",), max_new_tokens=5, temperature=0.0))
    assert said == again


def test_a_sample_does_not_depend_on_how_many_there_are(model: Transformer) -> None:
    def said(prompts: tuple[str, ...], n_samples: int, batch_size: int) -> list[str]:
        request = GenerateRequest(
            RUN, prompts, n_samples=n_samples, batch_size=batch_size, max_new_tokens=9, top_k=20
        )
        lines = answers(model, request).split(">>")[1:]
        assert len(lines) == len(prompts) * n_samples
        return lines

    whole = said((">>a", ">>bcd"), 3, 32)
    assert whole == said((">>a", ">>bcd"), 3, 1) == said((">>a", ">>bcd"), 3, 4)
    assert whole[:1] == said((">>a",), 1, 32)
    assert len(set(whole[:3])) == 3


def test_seeds(model: Transformer) -> None:
    def said(seed: int | None) -> str:
        return answers(model, GenerateRequest(RUN, ("x",), max_new_tokens=20, seed=seed))

    assert said(None) == said(1)
    assert said(1) != said(2)


def test_a_terminal_shows_the_same_text_piece_by_piece(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    request = GenerateRequest(RUN, ("über ", ""), n_samples=2, max_new_tokens=40)
    shown = answers(model, request, Terminal())
    piped, terminal = io.StringIO(), Terminal()
    Output(terminal).write(answers(model, request, piped))
    headers = [line for line in shown.splitlines() if line.startswith("--- ")]
    assert headers == [f"--- prompt {i} of 2, sample {j} of 2 ---" for i in (1, 2) for j in (1, 2)]
    for header in headers:
        shown = shown.replace(header + "\n", "")
    assert shown == terminal.getvalue()


def test_one_text_has_no_header(model: Transformer) -> None:
    shown = answers(model, GenerateRequest(RUN, ("a",), max_new_tokens=3), Terminal())
    assert "---" not in shown


def test_no_prompt_starts_from_the_end_of_text_token(model: Transformer) -> None:
    started = answers(model, GenerateRequest(RUN, ("",), max_new_tokens=9, temperature=0.0))
    assert started == answers(
        model, GenerateRequest(RUN, piped="\n", max_new_tokens=9, temperature=0.0)
    )
    assert started == answers(model, GenerateRequest(RUN, max_new_tokens=9, temperature=0.0))
    assert started != answers(
        model, GenerateRequest(RUN, ("\n",), max_new_tokens=9, temperature=0.0)
    )


def test_a_pipe_is_one_prompt(model: Transformer) -> None:
    said = answers(model, GenerateRequest(RUN, piped="a\nb\n", max_new_tokens=3))
    assert said.startswith("a\nb")
    assert not said.startswith("a\nb\n")


def test_a_long_prompt_keeps_its_end_and_says_so(model: Transformer) -> None:
    text, remarks = io.StringIO(), io.StringIO()
    long = "x" * 30 + "the tail"
    request = GenerateRequest(RUN, (long, "short"), max_new_tokens=6, temperature=0.0)
    answer(model, request, Output(text, remarks))
    assert remarks.getvalue() == (
        "prompt 1: 38 tokens; the model remembers 16 and goes on from the last 8\n"
    )
    tail = answers(model, GenerateRequest(RUN, ("the tail",), max_new_tokens=6, temperature=0.0))
    assert text.getvalue().startswith("x" * 30 + tail)


def test_equal_samples_are_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="n_samples=3 greedy samples would all be the same"):
        answers(model, GenerateRequest(RUN, ("a",), n_samples=3, temperature=0.0))


def test_what_was_held_back_is_written_on_interruption(model: Transformer) -> None:
    class Impatient(Terminal):
        def write(self, piece: str) -> int:
            if len(self.getvalue()) > 6 and piece != "\n" and not piece.endswith("\n"):
                raise KeyboardInterrupt
            return super().write(piece)

    screen = Impatient()
    with pytest.raises(KeyboardInterrupt):
        answers(model, GenerateRequest(RUN, ("abc",), max_new_tokens=50), screen)
    assert screen.getvalue().endswith("\n")
