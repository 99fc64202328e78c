"""Lines of a console: what belongs together stands in one column, and nothing is lost."""

from __future__ import annotations

import random
import re

import pytest

from lightning_transformer.look.layout import GUTTER, lines
from lightning_transformer.look.rows import Row, TokenCell, Track, Tracks

NOTHING = TokenCell("·", "dim", counts=False)


def shown(row: Row, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in lines(row, width, "│")]


def row(reads: list[str], label: list[str | None], borders: frozenset[int] = frozenset()) -> Row:
    tracks = [
        Track("reads", [TokenCell(text) for text in reads]),
        Track("label", [NOTHING if text is None else TokenCell(text) for text in label]),
    ]
    return Row([Tracks(tracks, borders)], [], len(reads), 0)


def test_a_long_label_goes_on_below_what_has_none() -> None:
    assert shown(row(list("Ada!"), ["B-P", None, None, "O"])) == [
        "reads    A d a !",
        "label    B-P · O",
    ]


def test_a_label_pushes_away_the_next_one_that_it_would_touch() -> None:
    assert shown(row(["a", "b"], ["LONG", "O"])) == ["reads    a    b", "label    LONG O"]
    assert shown(row(["a", "b", "c"], ["XXX", None, None])) == [
        "reads    a b c",
        "label    XXX ·",
    ]


def test_a_border_stands_between_documents() -> None:
    assert shown(row(["a", "b"], [None, "O"], frozenset({1}))) == [
        "reads    a │ b",
        "label    · │ O",
    ]


def test_lines_break_between_tokens_and_keep_within_the_width() -> None:
    found = shown(row(list("abcdefghijklmnop"), [None] * 16), width=GUTTER + 20)
    assert found[0] == "reads    a b c d e f g h i j"
    assert found[2] == "reads    k l m n o p"


@pytest.mark.parametrize("seed", range(20))
def test_every_cell_that_counts_is_there_below_its_token(seed: int) -> None:
    draw = random.Random(seed)
    n = draw.randint(1, 60)
    reads = [chr(97 + i % 26) * draw.randint(1, 6) for i in range(n)]
    label = [f"L{i}" * draw.randint(1, 4) if draw.random() < 0.3 else None for i in range(n)]
    borders = frozenset(draw.sample(range(n), n // 8))
    found = shown(row(reads, label, borders), width=50)
    assert all(len(line) <= 50 for line in found)
    n_before, words, labels = 0, [], {}
    for above, below in zip(found[::2], found[1::2], strict=True):
        tokens = list(re.finditer(r"[^ │]+", above[GUTTER:]))
        starts = [token.start() for token in tokens]
        for one in re.finditer(r"[^ │·]+", below[GUTTER:]):
            labels[n_before + starts.index(one.start())] = one[0]
        words += [token[0] for token in tokens]
        n_before += len(tokens)
    assert words == reads
    assert labels == {i: text for i, text in enumerate(label) if text is not None}
