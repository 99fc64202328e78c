"""Source mixture with stages of cleaning: each part as alone, and one look over all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.data import base
from lightning_transformer.data.cleaning.exact_duplicates import ExactDuplicates
from lightning_transformer.data.cleaning.leak_check import LeakCheck
from lightning_transformer.data.cleaning.length import Length
from lightning_transformer.data.cleaning.unicode import Unicode
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.mixture import Mixture
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.store import corpus, prepare
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters

LINES = [f"line {i} of {i * i} with words" for i in range(60)]
STAGES = {"length": Length(min_chars=4), "exact_duplicates": ExactDuplicates()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files whose lines are there twice, and short ones with letters of their own."""
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    for name, own in (("a", [*LINES, *LINES[:20], "qq"]), ("b", [*LINES[:30], *LINES[:9], "zz"])):
        (tmp_path / f"{name}.txt").write_text("\n".join(own))
    return tmp_path


def part(folder: Path, name: str, **options: Any) -> dict[str, Any]:
    path = str(folder / f"{name}.txt")
    return {"data": "text", "path": path, "documents": "line", "weight": 1} | options


def mixture(folder: Path, cleaning: Any = STAGES, **options: Any) -> Mixture:
    parts = options.pop("parts", {name: part(folder, name) for name in "ab"})
    given = {"tokenizer": Bytes(), "packing": Documents(), "seq_len": 16, "batch_size": 4} | options
    return Mixture(parts=parts, cleaning=cleaning, **given)


def alone(folder: Path, name: str, **options: Any) -> Text:
    given = {"tokenizer": Bytes(), "packing": Documents(), "seq_len": 16, "cleaning": STAGES}
    return Text(path=str(folder / f"{name}.txt"), documents="line", **(given | options))


def rows(data: Any) -> list[Any]:
    return [
        [split, *(None if x is None else x.tolist() for x in of.get(i, 0))]
        for split, of in sorted(data.splits.items())
        for i in range(len(of))
    ]


@pytest.mark.parametrize("stored", [False, True])
def test_each_part_is_cleaned_as_if_it_were_alone(folder, monkeypatch, stored) -> None:
    monkeypatch.setattr(base, "STORED_FROM", 0 if stored else 10**9)
    data = mixture(folder)
    data.prepare()
    lines = []
    for name, n_in in (("a", 81), ("b", 40)):
        single = alone(folder, name)
        single.prepare()
        assert rows(data.sources[name]) == rows(single)
        assert data.sources[name].identity == single.identity
        of_part = [e for e in data.cleaned if e["part"] == name]
        assert [{k: v for k, v in e.items() if k != "part"} for e in of_part] == single.cleaned
        assert sum(of["documents_in"] for of in of_part[0]["splits"].values()) == n_in
        lines += [f"{name}: {line}" for line in single.cleaning_lines()]
    assert data.cleaning_lines() == lines
    assert len(data.cleaned) == 4
    plain = mixture(folder, cleaning=None)
    plain.prepare()
    assert plain.identity.sha256 != data.identity.sha256
    assert plain.cleaning_lines() == plain.cleaned == []


def test_what_is_read_is_clean(folder) -> None:
    found = mixture(folder).read()
    assert list(found) == ["train", "val", "test"]
    both = [(r.source, r.texts[0]) for records in found.values() for r in records]
    assert len(both) == len(set(both)) == 90
    assert {text for _, text in both} == set(LINES)
    # Lines that both parts have stay in both: neither depends on the other.
    assert sum(source == "b" for source, _ in both) == 30


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("make", [Characters, lambda: BPE(vocab_size=300)])
def test_the_tokenizer_learns_from_what_is_left(folder, monkeypatch, stored, make) -> None:
    monkeypatch.setattr(base, "STORED_FROM", 0 if stored else 10**9)
    seen: list[str] = []
    kind = type(make())
    real = kind.train

    def train(self: Any, texts: Any) -> Any:
        kept = list(texts)
        seen.extend(kept)
        return real(self, kept)

    monkeypatch.setattr(kind, "train", train)
    data = mixture(folder, tokenizer=make())
    data.prepare()
    learned = [text for text in seen if text != "a"]  # whether it learns is tried with one letter
    assert learned
    assert {"qq", "zz"}.isdisjoint(learned)
    n_train = [e["splits"]["train"]["documents_out"] for e in data.cleaned if "exact" in e["stage"]]
    assert len(learned) == sum(n_train)
    assert len(set(learned)) >= max(n_train)


def test_large_parts_are_cleaned_once_for_the_tokenizer_and_the_tokens(folder, monkeypatch) -> None:
    monkeypatch.setattr(base, "STORED_FROM", 0)
    done: list[str] = []
    real = prepare.clean

    def counted(stages: Any, raw: Any, *rest: Any, **named: Any) -> Any:
        done.append(rest[-1])
        return real(stages, raw, *rest, **named)

    monkeypatch.setattr(prepare, "clean", counted)
    tokenizer = BPE(vocab_size=300)
    mixture(folder, tokenizer=tokenizer).prepare()
    assert done == ["text", "text"]
    assert all(one.complete for one in corpus.kept())  # no cleaned text is left behind
    mixture(folder, tokenizer=tokenizer).prepare()
    assert done == ["text", "text"]
    assert len(corpus.kept()) == 2
    mixture(folder, tokenizer=tokenizer, cleaning={"length": Length(min_chars=5)}).prepare()
    assert len(corpus.kept()) == 4


def test_a_later_look_leaves_no_cleaned_text_behind(folder, monkeypatch) -> None:
    """The parts are encoded already, and are read once more for what looks at all of them."""
    monkeypatch.setattr(base, "STORED_FROM", 0)
    mixture(folder).prepare()
    before = [one.folder for one in corpus.kept()]
    data = mixture(folder, cleaning=STAGES | {"leak_check": LeakCheck(ngram=2)})
    data.prepare()
    assert data.cleaned[-1]["found"]["overlaps"]["test"]["overlapping"]["train"] > 0
    assert sorted(one.folder for one in corpus.kept()) == sorted(before)


@pytest.mark.parametrize("stored", [False, True])
def test_a_leak_is_looked_for_in_all_parts_together(folder, monkeypatch, stored) -> None:
    """The test of one part is in the training of the other, where it has no test at all."""
    monkeypatch.setattr(base, "STORED_FROM", 0 if stored else 10**9)
    words = [" ".join(f"w{i}x{k}" for k in range(9)) for i in range(40)]
    (folder / "a.txt").write_text("\n".join(words))
    (folder / "b.txt").write_text("\n".join([words[0], "something else here", *LINES[:9]]))
    (folder / "t.txt").write_text(f"{words[0]} and more\n{words[39]}\nnothing of that is there")
    whole = {"val_fraction": 0.0, "test_fraction": 0.0}
    parts = {
        "a": part(folder, "a", val_fraction=0.0, test_path=str(folder / "t.txt")),
        "b": part(folder, "b", **whole),
    }
    for _ in range(2):  # the second time from the cache
        data = mixture(folder, cleaning={"leak_check": LeakCheck(ngram=5)}, parts=parts)
        data.prepare()
        (entry,) = data.cleaned
        assert entry["part"] is None
        assert entry["found"]["overlaps"]["test"]["overlapping"] == {"train": 2}
        assert data.cleaning_lines()[-1] == (
            "all parts: leak check: 2 of 3 test documents (66.7%) share 5 words in a row with train"
        )
        assert len(data.cleaning_lines()) == 2
    (folder / "a.txt").write_text("\n".join(words[:39]))
    data = mixture(folder, cleaning={"leak_check": LeakCheck(ngram=5)}, parts=parts)
    data.prepare()
    assert data.cleaned[0]["found"]["overlaps"]["test"]["overlapping"] == {"train": 1}


@pytest.mark.parametrize("cleaning", [STAGES, {"leak_check": LeakCheck()}])
def test_a_cache_that_cannot_be_written_is_refused_in_one_line(
    folder, monkeypatch, cleaning
) -> None:
    monkeypatch.setattr(base, "STORED_FROM", 0)
    (folder / "file").write_text("")
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(folder / "file"))
    for tokenizer in (Bytes(), BPE(vocab_size=300)):
        with pytest.raises(ValueError, match=r"the cache cannot be used .*LIGHTNING_TRANSFORMER"):
            mixture(folder, cleaning=cleaning, tokenizer=tokenizer).prepare()


def test_parts_that_cannot_be_cleaned_stay_and_none_alone_is_refused(folder) -> None:
    made = {"data": "pydocs", "weight": 1}
    data = mixture(folder, parts={"a": part(folder, "a"), "made": made})
    assert [bool(source.stages) for source in data.sources.values()] == [True, False]
    with pytest.raises(ValueError, match=r"^cleaning\.length has no effect here: no part"):
        mixture(folder, parts={"made": made})


@pytest.mark.parametrize(
    ("cleaning", "parts", "line"),
    [
        ({"length": Length(min_chars=1000)}, {}, r"^data\.parts\.a \(text\): cleaning\.length rem"),
        ("unicode", {}, "write cleaning=unicode"),
        (STAGES, {"cleaning": {}}, r"data\.parts\.a\.cleaning: all parts have .*; use cleaning="),
    ],
)
def test_what_is_wrong_is_refused_with_its_part(folder, cleaning, parts, line) -> None:
    for tokenizer in (Bytes(), BPE(vocab_size=300)):
        with pytest.raises(ValueError, match=line):
            mixture(
                folder,
                cleaning=cleaning,
                parts={"a": part(folder, "a", **parts)},
                tokenizer=tokenizer,
            ).prepare()


def test_texts_of_tagged_words_are_not_changed(folder) -> None:
    (folder / "words").write_text("one B-X\ntwo O\n\nthree O\nfour B-Y\n")
    parts = {"a": {"data": "conll", "path": str(folder / "words"), "weight": 1}}
    with pytest.raises(ValueError, match=r"^data\.parts\.a \(conll\): cleaning\.unicode changes"):
        mixture(folder, cleaning={"unicode": Unicode()}, parts=parts, packing=Stream())
