"""The scores that a run reports, from a user's files on, against the tools of the field."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lightning_transformer as lt
from lightning_transformer.build import load_run
from lightning_transformer.data.encode import NO_TAG
from lightning_transformer.data.sources.conll import CoNLL
from lightning_transformer.data.tokenizers.bytes import Bytes
from lightning_transformer.generate.__main__ import main as generate
from lightning_transformer.runs.result import read
from tests.helpers.short_runs import SHORT, short_pairs, start
from tests.unit.tasks.metrics.texts import command_line
from tests.unit.training.guard.two_ranks import on_two_ranks

pytestmark = pytest.mark.slow

NAMES = {"PER": ["anna", "tom brown", "eve"], "LOC": ["paris", "new york", "rome", "the hague"]}
FILLER = ["the", "of", "saw", "met", "in", "near", "today", "and", "then", "a", "with", "old"]
QUICK = [
    o for o in SHORT if not o.startswith(("data", "model.n_layers", "trainer.max", "trainer.v"))
]
# A rate with which a toy is learned in some hundred steps.
TRAINED = [*QUICK, "optimizer=adamw", "optimizer.lr=5e-3", "data.batch_size=16"]


def sentence(draw: random.Random, n: int) -> list[tuple[str, str]]:
    """Words and IOB2 tags; a name of several words is one span."""
    found: list[tuple[str, str]] = []
    while len(found) < n:
        if draw.random() < 0.6:
            found.append((draw.choice(FILLER), "O"))
            continue
        kind = draw.choice(list(NAMES))
        words = draw.choice(NAMES[kind]).split()
        found += [(word, f"{'I' if i else 'B'}-{kind}") for i, word in enumerate(words)]
    return found


def write_conll(path: Path, seed: int, n: int, longest: int) -> None:
    draw = random.Random(seed)
    rows = [sentence(draw, draw.randint(2, longest)) for _ in range(n)]
    path.write_text("".join("".join(f"{w}\t{t}\n" for w, t in row) + "\n" for row in rows))


def sentences(split: Any, guesses: list[np.ndarray], labels: list[str]) -> tuple[list, list]:
    """Guessed and true tags of each sentence in order, put together from its windows."""
    whole: dict[int, list[tuple[int, str, str]]] = {}
    for index, guess in enumerate(guesses):
        example = split.get(index, 0)
        number = example.sentence if example.sentence >= 0 else 10**6 + index
        for place in np.flatnonzero(example.tags != NO_TAG).tolist():
            pair = labels[guess[place]], labels[example.tags[place]]
            whole.setdefault(number, []).append((example.start + place, *pair))
    rows = [sorted(row) for row in whole.values()]
    return [[g for _, g, _ in row] for row in rows], [[t for *_, t in row] for row in rows]


def test_spans_of_a_tagger_are_those_of_seqeval(tmp_path: Path) -> None:
    """From CoNLL files; the sentences of the test are longer than a row, and read in windows."""
    theirs: Any = pytest.importorskip("seqeval.metrics")
    scheme: Any = pytest.importorskip("seqeval.scheme")
    write_conll(tmp_path / "train", 1, 150, 8)
    write_conll(tmp_path / "test", 2, 40, 40)
    kind = ["task=tagging", "model=encoder_only", "model.n_layers=1", "data=conll"]
    files = [f"data.path={tmp_path / 'train'}", f"data.test_path={tmp_path / 'test'}"]
    sizes = ["data.seq_len=48", "trainer.max_steps=120", "trainer.val_every=60"]
    result = start(tmp_path / "run", [*TRAINED, *kind, *files, *sizes])
    model: Any = load_run(tmp_path / "run")
    task = model.task
    paths = {"path": str(tmp_path / "train"), "test_path": str(tmp_path / "test")}
    data = CoNLL(tokenizer=Bytes(), seq_len=48, **paths)
    data.prepare()
    split, collate, guesses = data.splits["test"], task.collator("test"), []
    for index in range(len(split)):
        batch = collate([split.get(index, 0)], [0])
        with torch.no_grad():
            guesses.append(task.scores(model(batch), batch)[0].argmax(-1).numpy())
    said, wanted = sentences(split, guesses, list(task.labels))
    assert len(wanted) == 40 < len(split)  # long ones are in windows, and no word is lost
    assert sum(map(len, wanted)) == sum(
        bool(line.strip()) for line in (tmp_path / "test").read_text().splitlines()
    )
    f1 = result.metrics["test/span_f1"]
    assert f1 is not None
    assert 0.3 < f1 < 1
    assert f1 == pytest.approx(theirs.f1_score(wanted, said), abs=1e-6)
    precision = theirs.precision_score(wanted, said)
    assert result.metrics["test/span_precision"] == pytest.approx(precision, abs=1e-6)
    strict = theirs.f1_score(wanted, said, mode="strict", scheme=scheme.IOB2)
    assert result.metrics["test/span_f1_strict"] == pytest.approx(strict, abs=1e-6)


def test_scores_of_a_translation_are_those_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From two plain files; predictions are those of `generate`, read by sacrebleu from a file."""
    draw = random.Random(3)
    for name, n in (("", 400), ("test_", 60)):
        rows = [draw.choices(FILLER[:8], k=draw.randint(4, 8)) for _ in range(n)]
        for side in ("source", "target"):
            said = [[word.upper() if side == "target" else word for word in row] for row in rows]
            (tmp_path / f"{name}{side}").write_text("".join(" ".join(r) + ".\n" for r in said))
    kind = ["model=encoder_decoder", "model.n_encoder_layers=1", "model.n_decoder_layers=1"]
    files = [f"data.{n}={tmp_path / n}" for n in ("source", "target", "test_source", "test_target")]
    sizes = ["data=parallel", "tokenizer=bpe", "trainer.max_steps=400", "trainer.val_every=200"]
    result = start(tmp_path / "run", [*TRAINED, *kind, *files, *sizes, "task.n_generated=8"])
    capsys.readouterr()
    assert generate([str(tmp_path / "run"), "--file", str(tmp_path / "test_source")]) == 0
    said = capsys.readouterr().out.splitlines()
    wanted = (tmp_path / "test_target").read_text().splitlines()
    for name, least in (("bleu", 3.0), ("chrf", 10.0), ("ter", 1.0)):
        theirs = command_line(said, wanted, name, tmp_path)
        score = result.metrics[f"test/{name}"]
        assert score is not None
        assert least < score < 99
        assert score == pytest.approx(theirs["score"], abs=0.01)
        assert theirs["signature"] in result.signatures[f"test/{name}"].replace("|#", "|")


def test_two_processes_report_what_one_does(tmp_path: Path) -> None:
    """Of the whole test, whose examples are uneven for them; one process measures the same run."""
    write_conll(tmp_path / "tags.conll", 1, 41, 12)
    draw = random.Random(4)
    rows = [f"{' '.join(draw.choices(FILLER, k=5))}\t{draw.choice('abc')}\n" for _ in range(83)]
    (tmp_path / "labels.tsv").write_text("text\tlabel\n" + "".join(rows))
    encoder = ["model=encoder_only", "model.n_layers=1"]
    two = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_steps=6"]
    two += ["trainer.val_every=3", "trainer.precision=64-true", "data.eval_batch_size=4"]
    two += ["data.batch_size=8"]
    usual = [o for o in QUICK if o != "trainer=cpu"]
    pairs = [o for o in short_pairs(tmp_path) if not o.startswith(("trainer", "task"))]
    cases = {
        "pairs": [*pairs, *two, "task.n_generated=3"],
        "tags": [
            *usual,
            *encoder,
            "task=tagging",
            "data=conll",
            f"data.path={tmp_path / 'tags.conll'}",
        ],
        "labels": [*usual, *encoder, "task=classification", "data=labelled"],
    }
    cases["tags"] += [*two, "data.seq_len=32", "data.test_fraction=0.4"]
    cases["labels"] += [*two, f"data.path={tmp_path / 'labels.tsv'}", "data.test_fraction=0.3"]
    on_two_ranks(tmp_path, cases)
    for name, new in (("pairs", "bleu"), ("tags", "span_f1"), ("labels", "ece")):
        result = read(tmp_path / name)
        own = {key: v for key, v in result.metrics.items() if key.startswith("test/")}
        alone = lt.evaluate(tmp_path / name)
        assert f"test/{new}" in own
        for key, value in alone["metrics"].items():
            # These two are summed in float32, batch by batch.
            rel = 1e-6 if key in ("test/brier", "test/ece") else 1e-10
            assert own.pop(key) == pytest.approx(value, rel=rel, nan_ok=True), key
        assert not own
        assert result.test_targets == alone["n_targets"]
        baseline = {k: v for k, v in result.baseline.items() if k.startswith("test/")}
        # The guess is kept in float32, in which the loss of a batch is summed.
        assert baseline == pytest.approx(alone["baseline"], rel=1e-6)
