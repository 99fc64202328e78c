"""Files with predictions added: what was there stays, byte for byte."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data.formats.tagged_columns import tagged_sentences
from lightning_transformer.generate.__main__ import main
from lightning_transformer.generate.annotated import Annotated, open_annotated
from tests.unit.generate.folders import make_run


def opened(
    folder: Path, name: str, text: str, kind: str, added: str = "p", **data: Any
) -> Annotated:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return open_annotated(str(folder / name), kind, added, None, data)


def test_an_object_gets_a_key_and_stays_as_it_was(tmp_path: Path) -> None:
    text = '{"text": "a",  "n": 1.50, "s": "\\u00e9"}\n\n{"n":2,"text":"{b}"} \n'
    file = opened(tmp_path, "f.jsonl", text, "jsonl")
    assert list(file.texts) == ["a", "{b}"]
    found = list(file.written(["é", ["x", 1]]))
    assert found[0] == '{"text": "a",  "n": 1.50, "s": "\\u00e9", "p": "é"}'
    assert [json.loads(line)["p"] for line in found] == ["é", ["x", 1]]
    assert json.loads(found[1]) == {"n": 2, "text": "{b}", "p": ["x", 1]}


def test_keys_within_keys_and_lists_of_words(tmp_path: Path) -> None:
    text = '{"a": {"b": ["New York", "won"]}}\n'
    file = opened(tmp_path, "f.jsonl", text, "jsonl", text_key="a.b")
    assert list(file.texts) == [["New York", "won"]]
    assert next(file.written([["B", "O"]])) == '{"a": {"b": ["New York", "won"]}, "p": ["B", "O"]}'


def test_a_row_gets_a_field_and_stays_as_it_was(tmp_path: Path) -> None:
    text = 'id, text ,"x"\n1,"two\nlines, ""so""",\n\n2, b ,"c"\n'
    file = opened(tmp_path, "f.csv", text, "csv")
    assert [t.strip() for t in file.texts if isinstance(t, str)] == ['two\nlines, "so"', "b"]
    found = list(file.written(['say "x", y', None]))
    assert found[0] == 'id, text ,"x",p'
    assert found[1].startswith('1,"two\nlines, ""so""",,')
    assert found[2] == '2, b ,"c",'
    rows = list(csv.reader(io.StringIO("\n".join(found))))
    assert [row[3] for row in rows] == ["p", 'say "x", y', ""]


def test_a_row_as_the_run_has_read_it(tmp_path: Path) -> None:
    options = {"columns": ["label", "text"], "quote": None}
    file = opened(tmp_path, "f.tsv", '1\t"a\n0\tb\n', "csv", **options)
    assert list(file.texts) == ['"a', "b"]
    assert list(file.written([0.25, 1234567.0])) == ['1\t"a\t0.25', "0\tb\t1.23457e+06"]
    with pytest.raises(ValueError, match=r"f\.tsv:1: the prediction holds the delimiter"):
        list(file.written(["a\tb", "c"]))
    file = opened(tmp_path, "f.txt", "source;x\na;b\n", "csv", delimiter=";", source_key="source")
    assert list(file.written([1.0])) == ["source;x;p", "a;b;1"]


CONLLU = """\
# text = New York del won
1\tNew York\t_\tPROPN
2-3\tdel\t_\t_
2\tde\t_\tADP
3\tel\t_\tDET
3.1\twas\t_\t_

# sent_id = 2
1\t#\t_\tSYM
"""


def test_a_column_of_tags_stands_behind_the_given_words(tmp_path: Path) -> None:
    file = opened(tmp_path, "f.conllu", CONLLU, "conll", word_column=1)
    assert list(file.texts) == [["New York", "de", "el"], ["#"]]
    found = "\n".join(file.written([["A", "B", "C"], ["D"]])) + "\n"
    kept = [line.rpartition("\t")[0] if "\t" in line else line for line in found.splitlines()]
    assert kept == CONLLU.splitlines()
    (tmp_path / "back").write_text(found, encoding="utf-8")
    columns = {"key": "x", "word_column": 1, "tag_column": -1}
    back = list(tagged_sentences(str(tmp_path / "back"), **columns))  # type: ignore[arg-type]
    assert [(s.words, s.tags) for s in back] == [
        (["New York", "de", "el"], ["A", "B", "C"]),
        (["#"], ["D"]),
    ]


def test_words_alone_need_no_tags_and_documents_are_kept(tmp_path: Path) -> None:
    file = opened(tmp_path, "f", "-DOCSTART- -X-\n\nAda x\nsaw y\n\n\nwe z\n", "conll")
    assert list(file.texts) == [["Ada", "saw"], ["we"]]
    written = list(file.written([["B-PER", "O"], ["O"]]))
    assert written == ["-DOCSTART- -X- O", "", "Ada x B-PER", "saw y O", "", "", "we z O"]
    file = opened(tmp_path, "f", "Ada\nsaw\n", "conll")
    assert list(file.written([["N", "V"]])) == ["Ada N", "saw V"]


@pytest.mark.parametrize(
    ("name", "text", "kind", "data", "said"),
    [
        ("f.jsonl", '{"text": "a", "p": 1}', "jsonl", {}, "key 'p' already; .*--as"),
        ("f.jsonl", '{"t": "a"}', "jsonl", {}, "no key 'text'; found: t"),
        ("f.jsonl", '{"text": null}', "jsonl", {}, "must hold text or a list of words; got None"),
        ("f.jsonl", '{"text": "a"', "jsonl", {}, "expected one JSON object per line"),
        ("f.csv", "text,p\na,b\n", "csv", {}, "column 'p' already; .*--as"),
        ("f.csv", "a,b\n1,2\n", "csv", {}, "no column 'text'; found: a, b"),
        ("f.csv", "text,b\n1\n", "csv", {}, "f.csv:2: expected 2 fields"),
        ("f.csv", "", "csv", {}, "is empty"),
        ("f", "Ada\n", "conll", {"word_column": 1}, "1 columns, so data.word_column=1"),
        ("f", "1 a\n2 b\n\n", "conll", {}, None),
        ("f", "1\ta\tb\tc\n2\ta\tb\tc\n", "conll", {}, "holds the numbers of the words"),
    ],
)
def test_what_cannot_be_read_is_refused(
    name: str, text: str, kind: str, data: dict[str, Any], said: str | None, tmp_path: Path
) -> None:
    if said is None:
        opened(tmp_path, name, text, kind, **data)
        return
    with pytest.raises(ValueError, match=said):
        opened(tmp_path, name, text, kind, **data)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "jsonl"], "--format=jsonl needs a file: add --file FILE"),
        (["--format", "csv", "--file", "-"], "--format=csv needs a file"),
        (["--as", "x", "--prompt", "a"], "--as has no effect without --format"),
        (["--text-key", "x", "--prompt", "a"], "--text-key has no effect without --format"),
        (["--format", "conll", "--file", "f", "--as", "x"], "--as has no effect: columns of"),
        (["--format", "csv", "--file", "f", "--n-samples", "2"], "--n-samples=2: --format adds"),
        (["--format", "csv", "--file", "nothing.csv"], "--file=nothing.csv: no such file"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "classification")
    assert main([str(run), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_classifier_adds_its_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "run", "classification")
    file = tmp_path / "f.csv"
    file.write_text("id,text\n1,a\n2,\n3,bcd\n")
    assert main([str(run), "--file", str(file), "--format", "csv", "--as", "kind"]) == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["id"], row["text"]) for row in found] == [("1", "a"), ("2", ""), ("3", "bcd")]
    assert main([str(run), "--prompt", "a", "--prompt", "bcd"]) == 0
    plain = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert [row["kind"] for row in found if row["text"]] == plain
    assert main([str(run), "--file", str(file), "--format", "conll"]) == 2
    assert "--format=conll adds tags" in capsys.readouterr().err


def test_a_tagger_tags_every_word_however_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", "tagging")  # it reads 16 bytes
    words = [f"w{i}" for i in range(40)]
    (tmp_path / "f").write_text("".join(f"{word}\n" for word in words))
    assert main([str(run), "--file", str(tmp_path / "f"), "--format", "conll"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    pairs = [line.split(" ") for line in said.out.splitlines()]
    assert [word for word, _ in pairs] == words
    assert main([str(run), "--prompt", " ".join(words)]) == 0
    plain = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line]
    assert plain == pairs
    (tmp_path / "f.jsonl").write_text(json.dumps({"text": words}) + "\n")
    assert main([str(run), "--file", str(tmp_path / "f.jsonl"), "--format", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == [tag for _, tag in pairs]
    (tmp_path / "f.csv").write_text("text\na b\n")
    assert main([str(run), "--file", str(tmp_path / "f.csv"), "--format", "csv"]) == 2
    assert "tags are one per word" in capsys.readouterr().err
