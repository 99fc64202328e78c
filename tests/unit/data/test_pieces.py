"""Long texts in pieces, held against the same texts in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_transformer.data import pieces
from lightning_transformer.data.files import read_text
from lightning_transformer.data.pieces import (
    AFTER_A_LINE,
    ANYWHERE,
    BETWEEN_WORDS,
    cut,
    divided,
    scan,
)
from lightning_transformer.data.sources.text import contiguous
from lightning_transformer.data.tokenizers.bpe import BPE

TEXTS = st.text(st.sampled_from("ab1. \n\r\t'é\u00a0\x1c€😀\u2003"), max_size=80)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 5)
    monkeypatch.setattr(pieces, "BLOCK", 7)


@given(text=TEXTS, size=st.integers(1, 9))
@pytest.mark.parametrize("where", [ANYWHERE, BETWEEN_WORDS, AFTER_A_LINE, None])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pieces_are_the_text_and_do_not_depend_on_blocks(where, text: str, size: int) -> None:
    whole = list(cut([text], where))
    assert "".join(whole) == text
    blocks = [text[i : i + size] for i in range(0, len(text), size)]
    assert list(cut(blocks, where)) == whole


VOCABULARY = BPE(vocab_size=290, min_frequency=1).train(
    ["a.\nb a's  b\n\n1 a. b.\n é€ ab ab. "] * 3
)


@given(text=TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_tokens_of_pieces_are_those_of_the_text(text: str) -> None:
    assert VOCABULARY.cuts is BETWEEN_WORDS
    whole = VOCABULARY.tokenizer.encode(text, add_special_tokens=False).ids
    assert VOCABULARY.encode(text).tolist() == whole


def test_lines_that_end_in_a_full_stop_are_cut() -> None:
    assert len(list(cut(["A line.\n" * 100], BETWEEN_WORDS))) > 50


@given(text=TEXTS, bom=st.booleans(), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_file_is_read_and_divided_as_in_memory(tmp_path: Path, text, bom, shares) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b"\xef\xbb\xbf" * bom + text.encode())
    part, expected = scan(path, "data.path"), read_text(str(path), key="data.path")
    assert "".join(part.blocks()) == expected
    assert part.n_bytes == len(expected.encode())
    low, high = sorted(shares)
    parts = divided(part, (low, high))
    n = len(expected)
    first, second = int(low * n + 1e-9), int(high * n + 1e-9)
    texts = ["".join(p.blocks()) for p in parts]
    assert texts == [expected[:first], expected[first:second], expected[second:]]
    assert [p.n_bytes for p in parts] == [len(t.encode()) for t in texts]
    assert [p.n_chars for p in parts] == [len(t) for t in texts]
    assert b"".join(part.utf8()) == expected.encode()
    assert [p.n_crlf for p in parts] == [b"".join(p.raw()).count(b"\r\n") for p in parts]


def test_shares_are_those_of_text_in_memory(tmp_path: Path) -> None:
    path, text = tmp_path / "f.txt", "é\r\nabc" * 333
    path.write_bytes(text.encode())
    parts = divided(scan(path, "data.path"), (0.7, 0.9))
    expected = contiguous(text.replace("\r\n", "\n"), 0.2, 0.1)
    assert ["".join(p.blocks()) for p in parts] == list(expected.values())


@pytest.mark.parametrize("at", [0, 3, 6, 7, 13])
@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xc3("])
def test_what_is_not_utf8_is_refused_at_the_byte(tmp_path: Path, at: int, bad: bytes) -> None:
    path = tmp_path / "f.txt"
    for behind in (b"", b"xyz" * 5):
        path.write_bytes(b"a" * at + bad + behind)
        with pytest.raises(ValueError, match=rf"not UTF-8 at byte {at} \(0x{bad[0]:02x}\)"):
            scan(path, "data.path")
