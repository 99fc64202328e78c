"""Files in columns: of the CoNLL shared tasks and CoNLL-U."""

from __future__ import annotations

import pytest

from lightning_transformer.data.formats.tagged_columns import tagged_sentences


@pytest.fixture
def read(write):
    def reader(content: str, word_column: int = 0, tag_column: int = -1) -> list[tuple[str, str]]:
        path = write("f", content)
        columns = {"word_column": word_column, "tag_column": tag_column}
        found = tagged_sentences(path, key="data.path", **columns)
        return [(" ".join(s.words), " ".join(s.tags)) for s in found]

    return reader


def row(number: str, word: str, pos: str) -> str:
    return "\t".join([number, word, word.lower(), pos, *"______"]) + "\n"


# After the example of https://universaldependencies.org/format.html.
CONLLU = (
    "# newdoc id = d\n# sent_id = 1\n# text = vámonos al mar\n"
    + row("1-2", "vámonos", "_")
    + row("1", "vamos", "VERB")
    + row("2", "nos", "PRON")
    + row("3-4", "al", "_")
    + row("3", "a", "ADP")
    + row("4", "el", "DET")
    + row("5", "mar", "NOUN")
    + "\n# text = # w x\n# a free comment\n"
    + row("1", "#", "SYM")
    + row("1.1", "left out", "VERB")
    + row("2", "w x", "X")
)


def test_comments_ranges_and_empty_nodes_of_conllu_are_no_words(read):
    assert read(CONLLU, 1, 3) == [
        ("vamos nos a el mar", "VERB PRON ADP DET NOUN"),
        ("# w x", "SYM X"),
    ]


def test_an_empty_node_may_come_first(read):
    content = row("0.1", "e", "X") + row("1", "a", "Y") + row("2", "b", "Z")
    assert read(content, 1, 3) == [("a b", "Y Z")]


def test_comments_tell_documents(write):
    path = write("f", CONLLU + "\n# newdoc\n" + row("1", "a", "X"))
    found = list(tagged_sentences(path, key="k", word_column=1, tag_column=3))
    assert [s.document for s in found] == ["f:1", "f:1", f"f:{CONLLU.count(chr(10)) + 2}"]
    path = write(
        "g", "#begin document (a); part 000\nx 1 Y\n\n#end document\n#begin document b\nx 1 Y"
    )
    found = list(tagged_sentences(path, key="k", word_column=0, tag_column=-1))
    assert [s.document for s in found] == ["g:1", "g:5"]


def test_numbers_are_not_read_as_words(read):
    with pytest.raises(ValueError, match=r"f:4: data.word_column=0 holds the numbers of the words"):
        read(CONLLU, 0, 3)
    with pytest.raises(ValueError, match=r"use data.word_column=1, .* data.tag_column=3"):
        read(CONLLU, -10, 3)


def test_numbers_may_be_words_of_some_sentences(read):
    table = "1 CD X O\n3-0 CD X O\n\na DT X O\nb DT X O\n"
    assert read(table) == [("1 3-0", "O O"), ("a b", "O O")]
    many = "".join(f"1 CD X O\n2 CD X O\n\nw{i} DT X O\nb DT X O\n\n" for i in range(9))
    assert len(read(many)) == 18


def test_a_word_may_be_a_sign_of_comments(read):
    assert read("#hashtag X\n# Y\n\n# Y\n") == [("#hashtag #", "X Y"), ("#", "Y")]
    assert read("#\tY\na\tX\n") == [("# a", "Y X")]


def test_a_comment_over_words_in_white_space(read):
    assert read("# text = w x\nw 1 X\nx 2 Y\n") == [("w x", "X Y")]
    assert read("# sent_id = 3\n\nw 1 X\n") == [("w", "X")]


def test_tabs_alone_separate_where_there_are_tabs(read):
    assert read("New York\tB-LOC\nis\tO\n") == [("New York is", "B-LOC O")]
    assert read("New York \t B-LOC\n") == [("New York", "B-LOC")]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            "is O\nNew York B-LOC\n",
            r"f:2: 3 columns, but 2 in the lines before; separate columns by",
        ),
        ("a\tX\n\nb\tc\tX\n", r"f:3: 3 columns, but 2 in the lines before"),
        ("a\tX\nb\t\n", r"f:2: data.tag_column=-1 is empty; give the word, or _ or O as tag"),
        ("\tX\n", r"f:1: data.word_column=0 is empty"),
        ("a\nb\n", r"f:1: 1 columns, so data.word_column=0 and data.tag_column=-1 are the same"),
        ("a X\n# this is no comment\n", r"f:2: 5 columns, but 2 in the lines before"),
    ],
)
def test_what_would_lose_words_is_refused(read, content, match):
    with pytest.raises(ValueError, match=match):
        read(content)


def test_a_line_of_spaces_is_blank(read):
    assert read("a X\n \t\nb Y") == [("a", "X"), ("b", "Y")]
    assert read("") == []
