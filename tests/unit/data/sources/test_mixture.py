"""Source mixture: shares, order, labels, limits and cache, on files of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_transformer.data import base
from lightning_transformer.data.examples import Labelled, Pair, Tokens
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.sources.mixture import Mixture
from lightning_transformer.data.sources.text import Text
from lightning_transformer.data.store import prepare
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.data.tokenizers.characters import Characters
from tests.helpers.examples import first_examples


def write_text(path: Path, word: str, n: int) -> str:
    path.write_text("".join(f"{word} {i} of {i * i % 97} is a line.\n" for i in range(n)))
    return str(path)


def write_rows(path: Path, labels: str, n: int = 200) -> str:
    rows = (
        {"text": f"{labels} number {i * i}" + " and more" * (i % 9), "label": labels[i % 2]}
        for i in range(n)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this source with."""
    books = write_text(folder / "books.txt", "book", 600)
    web = write_text(folder / "web.txt", "page", 300)
    parts = ", ".join(
        f"{name}: {{data: text, path: '{path}', weight: {weight}}}"
        for name, path, weight in (("books", books, 3), ("web", web, 2))
    )
    return {"parts": f"{{{parts}}}"}


def texts(folder: Path, *, options: dict[str, Any] | None = None, **parts: Any) -> Mixture:
    """Two texts, `a` of three times the size of `b`; keys of the parts by name."""
    folder.mkdir(exist_ok=True)
    given = {
        "a": {"data": "text", "path": write_text(folder / "a.txt", "first", 300)},
        "b": {"data": "text", "path": write_text(folder / "b.txt", "second", 100)},
    }
    given = {name: part | parts.get(name, {}) for name, part in given.items()}
    defaults = {"tokenizer": Bytes(), "packing": Stream(), "seq_len": 16, "batch_size": 8}
    return Mixture(parts=given, **(defaults | (options or {})))


def rows(folder: Path, **options: Any) -> Mixture:
    """Labels x and y in one part, y and z in the other."""
    parts = {
        name: {"data": "labelled", "path": write_rows(folder / f"{name}.jsonl", labels)}
        for name, labels in (("a", "xy"), ("b", "zy"))
    }
    defaults = {"tokenizer": Bytes(), "packing": Stream(), "temperature": 1.0, "batch_size": 8}
    return Mixture(parts=parts, **(defaults | options))


WEIGHTS = {"a": {"weight": 1}, "b": {"weight": 3}}


def prepared(data: Mixture, seed: int = 1) -> Mixture:
    data.prepare()
    data.connect({"train": lambda examples, draws: examples}, seed, accumulate=1)
    return data


def test_parts_are_read_as_they_are_alone(tmp_path):
    data = prepared(texts(tmp_path, **WEIGHTS))
    alone = Text(path=str(tmp_path / "b.txt"), tokenizer=Bytes(), packing=Stream(), seq_len=16)
    alone.prepare()
    n_first = len(data.splits["train"]) - len(alone.splits["train"])
    for epoch in (0, 1):
        for i in range(len(alone.splits["train"])):
            mixed = data.splits["train"].get(n_first + i, epoch)
            assert mixed.ids.tolist() == alone.splits["train"].get(i, epoch).ids.tolist()
    assert set(data.splits) == {"train", "val", "test"}
    assert data.identity.bytes == sum((tmp_path / f).stat().st_size for f in ("a.txt", "b.txt"))


def test_samples_are_dealt_out_by_weight(tmp_path):
    data = prepared(texts(tmp_path, **WEIGHTS))
    loader, n_a = data.train_dataloader(), data.splits["train"].parts.sizes[0]
    for step in range(20):
        assert sum(loader.sample_ids(step) < n_a) == 2
    assert loader.n_examples == len(data.splits["train"])


def test_the_plan_and_what_was_seen_are_counted(tmp_path):
    data = prepared(texts(tmp_path, **WEIGHTS))
    n_a, n_b = data.splits["train"].parts.sizes
    wanted = {
        "a": {
            "source": "text",
            "share": 0.25,
            "examples": 200,
            "epochs": 200 / n_a,
            "last_step": None,
        },
        "b": {
            "source": "text",
            "share": 0.75,
            "examples": 600,
            "epochs": 600 / n_b,
            "last_step": None,
        },
    }
    assert data.plan(100) == wanted
    seen = data.seen(100)
    assert [seen[name]["tokens"] for name in "ab"] == [200 * 16, 600 * 16]
    assert {name: {k: v[k] for k in wanted["a"]} for name, v in seen.items()} == wanted
    # Steps that were left out after a spike are not seen, and those that came in their place are.
    data.left_out.leave_out(10, 5)
    assert data.seen(100) == seen


def test_a_part_that_is_through_gives_no_more(tmp_path):
    """b has 6 of 8 samples until 1.5 times all of it were seen, then a has all of them."""
    data = prepared(texts(tmp_path, a={"weight": 1}, b={"weight": 3, "max_epochs": 1.5}))
    n_a, n_b = data.splits["train"].parts.sizes
    most = int(1.5 * n_b)
    loader = data.train_dataloader()
    n_steps = most // 6 + 9
    seen = np.concatenate([loader.sample_ids(step) for step in range(n_steps)])
    of_b = seen[seen >= n_a]
    assert len(of_b) == most
    assert set(np.bincount(of_b - n_a, minlength=n_b)) == {1, 2}
    last_step = int(np.flatnonzero(seen >= n_a)[-1]) // 8 + 1
    planned = data.plan(n_steps)
    assert planned["b"] == {
        "source": "text",
        "share": 0.75,
        "examples": most,
        "epochs": most / n_b,
        "last_step": last_step,
    }
    assert planned["a"]["examples"] == 8 * n_steps - most
    assert data.seen(n_steps)["b"] == planned["b"] | {
        "tokens": 16 * most,
        "sha256": data.sources["b"].identity.sha256,
    }
    assert data.plan(last_step - 1)["b"]["last_step"] is None


def test_a_run_with_an_end_for_all_parts_ends_there(tmp_path):
    limits = {"a": {"weight": 1, "max_epochs": 1}, "b": {"weight": 3, "max_epochs": 1}}
    data = prepared(texts(tmp_path, **limits))
    most = len(data.splits["train"]) // 8
    data.plan(most)
    with pytest.raises(ValueError, match=rf"max_epochs of data.parts .*max_steps={most}, or "):
        data.plan(most + 1)


def test_tokens_say_how_long_the_run_may_be(tmp_path):
    data = prepared(texts(tmp_path, a={"tokens": 1600}, b={"tokens": 800}))
    found = data.plan(18)
    assert [found[name]["examples"] for name in "ab"] == [96, 48]
    with pytest.raises(ValueError, match=r"2,400 tokens together, which is 18 steps"):
        data.plan(19)


def test_temperature_one_is_by_size(tmp_path):
    data = prepared(texts(tmp_path, options={"temperature": 1.0}))
    sizes = np.array(data.splits["train"].parts.sizes)
    shares = [part["share"] for part in data.plan(1).values()]
    assert shares == pytest.approx(sizes / sizes.sum(), abs=1e-6)


def test_labels_of_all_parts_are_one_list(tmp_path):
    data = prepared(rows(tmp_path))
    assert data.labels == ["x", "y", "z"]
    assert data.example is Labelled
    for split in ("train", "val", "test"):
        for example in first_examples(data, split, 500):
            text = data.vocabulary.decode(example.ids)
            assert data.labels[example.label] in text.split()[0]
    assert {e.label for e in first_examples(data, "train", 500)} == {0, 1, 2}
    # Lengths differ, so steps are made of like ones; each part still has its share.
    loader = data.train_dataloader()
    lengths = data.splits["train"].lengths
    spread = [np.ptp(lengths[loader.sample_ids(step)]) for step in range(30)]
    assert np.mean(spread) < np.ptp(lengths) / 3


def test_it_can_be_read_and_encoded_by_split(tmp_path):
    """As an evaluation does, with the vocabulary and the labels of a run."""
    data, whole = rows(tmp_path), prepared(rows(tmp_path))
    found = data.read()
    data.vocabulary, data.labels = whole.vocabulary, list(whole.labels)
    encoded = data.encode("test", list(found["test"]))
    assert len(encoded) == len(whole.splits["test"])
    for i in range(len(encoded)):
        one, other = encoded.get(i, 0), whole.splits["test"].get(i, 0)
        assert (one.ids.tolist(), one.label) == (other.ids.tolist(), other.label)


def test_one_tokenizer_learns_from_all(tmp_path):
    data = prepared(texts(tmp_path, options={"tokenizer": Characters()}, **WEIGHTS))
    assert data.vocabulary.unk_id not in data.vocabulary.encode("first second")
    assert all(s.vocabulary is data.vocabulary for s in data.sources.values())


def test_the_digest_is_of_texts_and_shares(tmp_path):
    def digest(folder="one", options=None, **parts: Any) -> str:
        found = prepared(texts(tmp_path / folder, options=options, **parts)).identity
        assert found.name == "mixture"
        return found.sha256

    first = digest(**WEIGHTS)
    assert first == digest("two", **WEIGHTS)
    assert first == digest(options={"tokenizer": BPE(vocab_size=270), "seq_len": 8}, **WEIGHTS)
    others = [
        digest(a={"weight": 2}, b={"weight": 3}),
        digest(options={"temperature": 1.0}),
        digest(options={"temperature": 2.0}),
        digest(a={"weight": 1}, b={"weight": 3, "val_fraction": 0.2}),
        digest(a={"weight": 1, "max_epochs": 2}, b={"weight": 3}),
    ]
    assert len({first, *others}) == 6


def test_a_position_in_another_mixture_is_refused(tmp_path):
    state = prepared(texts(tmp_path, **WEIGHTS)).train_dataloader().state_dict()
    other = prepared(texts(tmp_path, a={"weight": 2}, b={"weight": 3})).train_dataloader()
    with pytest.raises(ValueError, match=r"data_sha256=.* differs from"):
        other.load_state_dict(state)


def test_large_parts_are_encoded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    options = {"tokenizer": BPE(vocab_size=270)}
    small = prepared(texts(tmp_path, options=options, **WEIGHTS))
    monkeypatch.setattr(base, "STORED_FROM", 1)
    first = prepared(texts(tmp_path, options=options, **WEIGHTS))
    monkeypatch.setattr(prepare, "_make", lambda *given: pytest.fail("encoded again"))
    again = prepared(texts(tmp_path, options=options, **WEIGHTS))
    for data in (first, again):
        assert data.identity == small.identity
        for split in small.splits:
            for one, other in zip(small.spread(split, 9), data.spread(split, 9), strict=True):
                assert one.ids.tolist() == other.ids.tolist()


def test_bytes_of_a_part_are_cached_as_if_it_were_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 1)
    path = write_text(tmp_path / "a.txt", "first", 300)
    Text(path=path, tokenizer=Bytes(), packing=Stream(), seq_len=16).prepare()
    made: list[Any] = []
    making = prepare._make
    monkeypatch.setattr(prepare, "_make", lambda *given: made.append(given[1]) or making(*given))
    data = prepared(texts(tmp_path, **WEIGHTS))
    assert made == [data.sources["b"]]


def test_texts_that_are_in_another_parts_training_are_told(tmp_path, caplog):
    lines = "".join(f"the very same line {i}\n" for i in range(50))
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(lines)
    parts = {
        "a": {"data": "text", "path": str(tmp_path / "a.txt"), "documents": "line"},
        "b": {"data": "text", "path": str(tmp_path / "b.txt"), "documents": "line"},
    }
    parts["a"] |= {"weight": 1, "val_fraction": 0.0, "test_fraction": 0.0}
    parts["b"] |= {"weight": 1, "val_fraction": 0.0, "test_fraction": 0.3}
    with caplog.at_level("WARNING"):
        Mixture(parts=parts, tokenizer=Bytes(), packing=Stream(), seq_len=8).prepare()
    assert "mixture: " in caplog.text
    assert "test examples are also in the training split" in caplog.text


def test_generated_pairs_have_their_floor(tmp_path):
    parts = {name: {"data": name, "weight": 1, "n_train": 50} for name in ("copy", "sort")}
    data = Mixture(parts=parts, tokenizer=Bytes(), packing=Stream(), batch_size=8)
    assert data.example is Pair
    prepared(data)
    assert data.floor() == {"loss": 0.0, "accuracy": 1.0, "exact_match": 1.0}
    assert {name: part["tokens"] for name, part in data.seen(3).items()} == {
        "copy": None,
        "sort": None,
    }


def test_packing_is_that_of_all_parts(tmp_path):
    data = prepared(texts(tmp_path, options={"packing": Documents()}, **WEIGHTS))
    assert all(e.documents is not None for e in first_examples(data, "train", 3))


def make(**given: Any) -> Mixture:
    return Mixture(**({"tokenizer": Bytes(), "packing": Stream()} | given))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"parts": {"a": {"data": "pydocs"}}}, "say nothing of their shares"),
        (
            {"parts": {"a": {"data": "pydocs"}, "b": {"data": "copy"}}, "temperature": 1.0},
            r"data.parts.b.data=copy gives Pair examples, but data.parts.a.data=pydocs gives T",
        ),
        (
            {"parts": {"a": {"data": "copy"}}, "temperature": 1.0, "packing": Documents()},
            "packing has no effect on Pair examples",
        ),
        (
            {"parts": {"a": {"data": "copy", "n_train": 1}}, "temperature": 1.0},
            "data.parts.a.n_train=1 must be at least 2",
        ),
        (
            {
                "parts": {"a": {"data": "tokens", "path": "x.npy"}},
                "tokenizer": BPE(vocab_size=300),
            }
            | {"temperature": 1.0},
            r"^data.parts.a \(tokens\): data=tokens has no text",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(given, line):
    with pytest.raises(ValueError, match=line):
        make(**given)


def test_errors_name_the_part(tmp_path, write):
    data = texts(tmp_path, a={"weight": 1, "path": "nowhere.txt"}, b={"weight": 1})
    with pytest.raises(ValueError, match=r"^data.parts.a.path=nowhere.txt"):
        data.prepare()
    short = texts(tmp_path, options={"seq_len": 50_000}, **WEIGHTS)
    with pytest.raises(ValueError, match=r"^data.parts.a \(text\): train split has .*data.seq_len"):
        short.prepare()


def test_bucket_steps_without_effect_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data.bucket_steps=4 has no effect"):
        texts(tmp_path, options={"bucket_steps": 4}, **WEIGHTS).prepare()


def test_rows_of_text_are_of_one_part(tmp_path):
    data = prepared(texts(tmp_path, **WEIGHTS))
    assert data.example is Tokens
    for example in first_examples(data, "train", 400):
        text = bytes(example.ids[example.ids < 256].tolist()).decode()
        assert not ("first" in text and "second" in text)
