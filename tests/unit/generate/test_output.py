from __future__ import annotations

import io

import pytest

from lightning_transformer.generate.output import DIM, PLAIN, Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_the_plain_text() -> None:
    text, remarks = io.StringIO(), io.StringIO()
    output = Output(text, remarks)
    output.header("sample 1")
    output.prompt("a\x1b")
    output.write("b\x07\r\n")
    output.remark("long prompt")
    assert text.getvalue() == "a\x1bb\x07\r\n"
    assert remarks.getvalue() == "long prompt\n"


def test_a_terminal_gets_no_commands_from_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = Terminal()
    output = Output(text)
    output.header("sample 1")
    output.prompt("\x1b]0;title\x07")
    output.write("a\x1b[2J\tb\r\x7f\x9bc\n")
    assert text.getvalue() == "sample 1\n␛]0;title␇a␛[2J\tb␍␡\ufffdc\n"


def test_prompt_and_header_are_dimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = Terminal()
    output = Output(text)
    output.header("sample 1")
    output.prompt("def")
    output.prompt("")
    output.write(" f")
    assert text.getvalue() == f"{DIM}sample 1{PLAIN}\n{DIM}def{PLAIN} f"


def test_a_pipe_is_utf8_whatever_the_locale() -> None:
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, encoding="ascii"))
    output.write("ü日")
    assert raw.getvalue() == "ü日".encode()
