"""Documents through several stages: what is left, what is counted, and where it is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data import base
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.cleaning import clean as clean_module
from lightning_transformer.data.cleaning.base import in_order
from lightning_transformer.data.cleaning.clean import clean, report_lines
from lightning_transformer.data.cleaning.exact_duplicates import ExactDuplicates
from lightning_transformer.data.cleaning.leak_check import LeakCheck
from lightning_transformer.data.cleaning.length import Length
from lightning_transformer.data.cleaning.near_duplicates import NearDuplicates
from lightning_transformer.data.cleaning.unicode import Unicode
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.conll import CoNLL
from lightning_transformer.data.sources.corpus import Corpus
from lightning_transformer.data.sources.labelled import LabelledText
from lightning_transformer.data.sources.pairs import PairedText
from lightning_transformer.data.sources.parallel import ParallelText
from lightning_transformer.data.sources.rated import RatedText
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.split import Record
from lightning_transformer.data.store import corpus, prepare
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes

STAGES: dict[str, Any] = {
    "unicode": Unicode(),
    "length": Length(3),
    "exact_duplicates": ExactDuplicates(),
}


def records(**texts: list[str]) -> dict[str, list[Record]]:
    return {split: [Record((text,)) for text in items] for split, items in texts.items()}


def cleaned(stages: dict[str, Any], raw: Any, until: str = "train") -> Any:
    def keep(split: str, left: Iterator[Record]) -> list[Record]:
        return list(left)

    return clean(in_order(stages), raw, keep, name="x", until=until)


RAW = records(
    train=["abc", "ab", "e\u0301e\u0301e\u0301", "def", "abc", "ghi"],
    test=["ééé", "abc"],
    val=["def", "jkl", "jkl"],
)


def texts(found: Any) -> dict[str, list[str]]:
    return {split: [record.texts[0] for record in items] for split, items in found.items()}


def test_the_copy_in_the_later_of_test_val_train_goes() -> None:
    found = cleaned(STAGES, RAW).records
    assert texts(found) == {"train": ["ghi"], "test": ["ééé", "abc"], "val": ["def", "jkl"]}
    assert list(found) == list(RAW)  # in the order of the source


def test_counts_by_hand() -> None:
    report = cleaned(STAGES, RAW).report
    assert [entry["stage"] for entry in report] == ["unicode", "length", "exact_duplicates"]
    assert report[0]["splits"]["train"] == {
        "documents_in": 6,
        "documents_out": 6,
        "documents_changed": 1,
        "characters_in": 20,
        "characters_out": 17,
        "dropped": {},
    }
    assert report[1]["splits"]["train"] == {
        "documents_in": 6,
        "documents_out": 5,
        "documents_changed": 0,
        "characters_in": 17,
        "characters_out": 15,
        "dropped": {"fewer than 3 characters": 1},
    }
    last = report[2]["splits"]
    assert {split: (of["documents_in"], of["documents_out"]) for split, of in last.items()} == {
        "test": (2, 2),
        "val": (3, 2),
        "train": (5, 1),
    }
    json.dumps(report)


def test_each_stage_has_a_line() -> None:
    stages = {**STAGES, "leak_check": LeakCheck(1)}
    lines = report_lines(in_order(stages), cleaned(stages, RAW).report)
    assert lines[1] == (
        "cleaning length: documents test 2 of 2, val 3 of 3, train 5 of 6; characters 30 of 32; "
        "changed 0; removed fewer than 3 characters 1"
    )
    assert lines[3:] == [
        "cleaning leak_check: 5 documents, none changed or removed",
        "leak check: 0 of 2 test documents (0.0%) share 1 words in a row with train",
        "leak check: 0 of 2 test documents (0.0%) share 1 words in a row with val",
        "leak check: 0 of 2 val documents (0.0%) share 1 words in a row with train",
    ]


def test_without_stages_records_stay_as_they_are() -> None:
    found = cleaned({}, RAW)
    assert found.records is RAW
    assert found.report == []


def test_a_second_time_gives_the_same() -> None:
    assert cleaned(STAGES, RAW) == cleaned(STAGES, RAW)


def test_only_the_splits_that_are_wanted_are_read() -> None:
    def refuse() -> Iterator[Record]:
        raise AssertionError("not wanted")
        yield

    raw = {**RAW, "train": refuse()}
    assert texts(cleaned(STAGES, raw, until="val").records)["val"] == ["def", "jkl"]


def test_a_stage_that_leaves_nothing_is_refused_with_the_counts() -> None:
    with pytest.raises(ValueError, match=r"cleaning\.length removes all 3 documents of the val s"
                       r"plit that reach it \(fewer than 9 characters 3\); loosen"):  # fmt: skip
        cleaned({"length": Length(9)}, records(test=["long enough"], val=["a", "b", "c"]))


# Through the sources, in memory and through the cache.

LINES = [f"line {i} of the text" for i in range(60)]
TWICE = [*LINES, *LINES[:20], "no"]
PLAIN = {"length": Length(5), "exact_duplicates": ExactDuplicates()}


def write_rows(folder: Path) -> None:
    (folder / "a.txt").write_text("".join(f"{line}\n" for line in TWICE))
    rows = [
        {"text": t, "label": "ab"[i % 2], "stars": i % 5, "target": f"{t}!"}
        for i, t in enumerate(TWICE)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "b.txt").write_text("".join(f"{line}!\n" for line in TWICE))
    (folder / "a.conll").write_text(
        "".join("".join(f"{w} {w.isalpha()}\n" for w in line.split()) + "\n" for line in TWICE)
    )


Make = Callable[..., DataModule]
SOURCES: dict[str, Make] = {
    "text": lambda f, **kw: Text(path=f"{f}/a.txt", documents="line", packing=Stream(), **kw),
    "corpus": lambda f, **kw: Corpus(path=f"{f}/a.jsonl", packing=Stream(), **kw),
    "labelled": lambda f, **kw: LabelledText(path=f"{f}/a.jsonl", **kw),
    "rated": lambda f, **kw: RatedText(path=f"{f}/a.jsonl", label_key="stars", **kw),
    "pairs": lambda f, **kw: PairedText(path=f"{f}/a.jsonl", source_key="text", **kw),
    "parallel": lambda f, **kw: ParallelText(source=f"{f}/a.txt", target=f"{f}/b.txt", **kw),
    "conll": lambda f, **kw: CoNLL(path=f"{f}/a.conll", **kw),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    write_rows(tmp_path)
    return tmp_path


def prepared(
    monkeypatch: Any, make: Make, folder: Path, stored: bool, cleaning: Any = None, **kw: Any
) -> DataModule:
    monkeypatch.setattr(base, "STORED_FROM", 0 if stored else 10**9)
    options = {"tokenizer": Bytes(), "seq_len": 32, "val_fraction": 0.2, "test_fraction": 0.2}
    data = make(folder, cleaning=cleaning or PLAIN, **{**options, **kw})
    data.prepare()
    return data


def all_examples(data: DataModule) -> list[Any]:
    return [
        [None if x is None else str(x) for x in split.get(i, 0)]
        for _, split in sorted(data.splits.items())
        for i in range(len(split))
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_of_own_files_is_cleaned_alike_in_memory_and_in_the_cache(
    name: str, folder: Path, monkeypatch: Any
) -> None:
    memory, stored, again = (
        prepared(monkeypatch, SOURCES[name], folder, is_stored) for is_stored in (False, True, True)
    )
    assert all_examples(memory) == all_examples(stored) == all_examples(again)
    assert memory.identity == stored.identity == again.identity
    assert memory.cleaned == stored.cleaned == again.cleaned
    assert memory.cleaning_lines() == again.cleaning_lines()
    ends = [entry["splits"].values() for entry in memory.cleaned]
    assert sum(of["documents_in"] for of in ends[0]) == 81
    assert sum(of["documents_out"] for of in ends[1]) == 60
    assert not list(corpus.kept()[0].folder.glob("cleaned.*"))  # the cache holds tokens alone


def test_a_source_has_the_texts_that_are_left(folder: Path, monkeypatch: Any) -> None:
    data = prepared(monkeypatch, SOURCES["corpus"], folder, stored=True, test_fraction=0.0)
    both = [split.tokens[:] for split in data.splits.values()]
    text = "\n".join(bytes(ids[ids < 256].astype("uint8")).decode() for ids in both)
    assert all(text.count(line) == 1 for line in LINES if len(line.split()[1]) > 1)


def test_another_option_is_another_corpus(folder: Path, monkeypatch: Any) -> None:
    def made(**cleaning: Any) -> int:
        prepared(monkeypatch, SOURCES["text"], folder, stored=True, cleaning=cleaning)
        return len(corpus.kept())

    assert made(length=Length(3)) == 1
    assert made(length=Length(3)) == 1
    assert made(length=Length(4)) == 2
    assert made(length=Length(4), unicode=Unicode()) == 3
    assert made(unicode=Unicode(), length=Length(4)) == 3  # the order of typing is none


def test_what_was_interrupted_while_encoding_is_not_cleaned_again(
    folder: Path, monkeypatch: Any
) -> None:
    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_all", fail)
        with pytest.raises(KeyboardInterrupt):
            prepared(monkeypatch, SOURCES["text"], folder, stored=True)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "clean", fail)
        stored = prepared(monkeypatch, SOURCES["text"], folder, stored=True)
    memory = prepared(monkeypatch, SOURCES["text"], folder, stored=False)
    assert all_examples(stored) == all_examples(memory)
    assert stored.cleaned == memory.cleaned


def test_what_was_interrupted_while_cleaning_is_cleaned_anew(
    folder: Path, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Length, "broken_rule", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepared(monkeypatch, SOURCES["text"], folder, stored=True)
    stored = prepared(monkeypatch, SOURCES["text"], folder, stored=True)
    memory = prepared(monkeypatch, SOURCES["text"], folder, stored=False)
    assert all_examples(stored) == all_examples(memory)


def test_files_that_change_while_they_are_cleaned_are_refused(
    folder: Path, monkeypatch: Any
) -> None:
    real = prepare.clean

    def and_change(*args: Any, **kw: Any) -> Any:
        found = real(*args, **kw)
        with (folder / "a.txt").open("a") as file:
            file.write("another line\n")
        return found

    monkeypatch.setattr(prepare, "clean", and_change)
    with pytest.raises(ValueError, match="changed while they were read"):
        prepared(monkeypatch, SOURCES["text"], folder, stored=True)
    assert not list(corpus.corpora().rglob("cleaned.json"))


def test_a_tokenizer_learns_from_what_is_left(folder: Path, monkeypatch: Any) -> None:
    seen: list[str] = []
    real = BPE.train

    def train(self: BPE, given: Any) -> Any:
        seen.extend(given)
        return real(self, seen)

    monkeypatch.setattr(BPE, "train", train)
    prepared(monkeypatch, SOURCES["text"], folder, stored=True, tokenizer=BPE(vocab_size=300))
    assert len(seen) == len(set(seen)) > 0
    assert "no" not in seen


def test_a_document_that_is_a_whole_file_is_cleaned(folder: Path, monkeypatch: Any) -> None:
    (folder / "a.txt").write_text("e\u0301 " * 200)
    stages = {"unicode": Unicode()}

    def whole(f: Path, **kw: Any) -> DataModule:
        return Text(path=f"{f}/a.txt", packing=Stream(), **kw)

    memory, stored = (
        prepared(monkeypatch, whole, folder, is_stored, stages) for is_stored in (False, True)
    )
    assert all_examples(memory) == all_examples(stored)
    # Cut at 60, 80 and 100 % of 600 characters, then composed: 2 for each 3.
    assert [of["characters_out"] for of in memory.cleaned[0]["splits"].values()] == [80, 80, 240]
    monkeypatch.setattr(clean_module, "LARGEST", 100)
    with pytest.raises(ValueError, match=r"a\.txt has .* use data\.documents=line"):
        prepared(monkeypatch, whole, folder, True, stages, seq_len=31, val_fraction=0.1)


def test_texts_of_tagged_words_are_not_changed(folder: Path, monkeypatch: Any) -> None:
    with pytest.raises(ValueError, match=r"cleaning\.unicode changes texts, but tags stand"):
        prepared(monkeypatch, SOURCES["conll"], folder, False, {"unicode": Unicode()})


def test_near_duplicates_go_through_the_cache_too(folder: Path, monkeypatch: Any) -> None:
    words = [f"w{i}" for i in range(100)]
    lines = [" ".join([*words, f"end{i}"]) for i in range(9)] + [f"{i} alone" for i in range(40)]
    (folder / "a.txt").write_text("\n".join(lines))
    stages = {"near_duplicates": NearDuplicates()}
    data = prepared(monkeypatch, SOURCES["text"], folder, True, stages)
    (entry,) = data.cleaned
    assert sum(of["documents_out"] for of in entry["splits"].values()) == 41
    assert entry["found"]["bands"] == 11


def test_progress_is_said(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(clean_module, "EVERY", 0.0)
    caplog.set_level(logging.INFO)
    cleaned({"unicode": Unicode()}, records(train=["text"] * 300))
    assert "cleaning train split of x: 256 documents, 0.0 million characters" in caplog.text
