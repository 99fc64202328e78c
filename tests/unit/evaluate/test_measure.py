"""An evaluation gives what the run's own test gave, and on other text what a plain loop gives."""

from __future__ import annotations

import math
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from rich.console import Console

import lightning_transformer as lt
from lightning_transformer.build import load_run
from lightning_transformer.checkpoint.run_files import GUESS
from lightning_transformer.data import base
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.subword import SubwordVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.record import Evaluation
from lightning_transformer.evaluate.table import tables
from lightning_transformer.runs.result import read
from lightning_transformer.tasks.base import Batch
from tests.helpers.short_runs import short, short_pairs, short_run, start

LENGTH = 16
FIELDS = {field.name for field in fields(Evaluation)} - {"document_losses"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with characters as tokens."""
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    short_run(folder, "tokenizer=characters")
    return folder


def same_as_own_test(folder: Path) -> None:
    own = {k: v for k, v in read(folder).metrics.items() if k.startswith("test/")}
    found, result = lt.evaluate(folder), read(folder)
    assert found["metrics"] == own  # to the last digit
    for name in ("baseline", "floor", "signatures"):
        known = getattr(result, name)
        assert found[name] == {k: v for k, v in known.items() if k.startswith("test/")}
    assert "test/loss" in found["baseline"]
    assert found["n_targets"] == read(folder).test_targets
    assert np.array_equal(found["document_losses"], np.load(folder / "document_losses.npy"))


def test_without_changes_it_repeats_the_test_of_the_run(run: Path) -> None:
    same_as_own_test(run)
    assert not (run / "evaluations").exists()  # in Python nothing is written


@pytest.mark.parametrize(
    "changes",
    [
        ["callbacks=ema", "callbacks.ema.decay=0.5", "trainer.precision=64-true"],
        pytest.param(["optimizer=schedule_free"], marks=pytest.mark.slow),
        ["trainer.limit_test_batches=1", "data.eval_batch_size=8"],
    ],
    ids=lambda changes: changes[0],
)
def test_the_weights_and_the_rows_are_those_that_the_run_tested(
    tmp_path: Path, changes: list[str]
) -> None:
    schedule = [] if "schedule" not in changes[0] else ["schedule=constant"]
    typed = [o for o in short(tmp_path) if not (o == "callbacks=none" and "ema" in changes[0])]
    start(tmp_path / "run", [*typed, *changes, *schedule])
    same_as_own_test(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked_lm", "classification", "tagging", "multi_token"])
def test_every_task_is_measured_as_its_run_did(tmp_path: Path, kind: str) -> None:
    typed = short(tmp_path, f"task={kind}")
    if kind != "multi_token":
        typed.append("model=encoder_only")
    if kind in ("classification", "tagging"):
        typed = [text for text in typed if not text.startswith("data.path=")]
        data = ["data=order", "data.n_train=64", "data.n_eval=20"]
        if kind == "tagging":
            data = ["data=roles", "data.max_files=60", "trainer.limit_test_batches=2"]
            data += ["data.seq_len=64", "trainer.limit_val_batches=1"]
        typed = [*(text for text in typed if text != "data=text"), *data]
    start(tmp_path / "run", typed)
    same_as_own_test(tmp_path / "run")


def test_a_task_that_generates_is_measured_alike(tmp_path: Path) -> None:
    start(tmp_path / "run", short_pairs(tmp_path, "task.n_generated=3"))
    same_as_own_test(tmp_path / "run")
    longer = lt.evaluate(tmp_path / "run", ["data.seq_len=200"])
    assert set(longer["metrics"]) == set(lt.evaluate(tmp_path / "run")["metrics"])


def test_scores_of_text_come_with_signature_baseline_and_floor(
    tmp_path: Path,
) -> None:
    typed = [t for t in short_pairs(tmp_path) if not t.startswith(("data", "task"))]
    made = ["data=copy", "data.n_train=32", "data.n_eval=6", "data.max_length=4"]
    start(tmp_path / "run", [*typed, *made, "task.n_generated=2", "data.batch_size=8"])
    same_as_own_test(tmp_path / "run")
    found = lt.evaluate(tmp_path / "run", split="val")
    assert found["floor"] == {"val/loss": 0.0, "val/exact_match": 1.0}
    assert found["baseline"]["val/exact_match"] == 1.0  # the source, handed back
    assert found["signatures"]["val/bleu"].startswith("BLEU|nrefs:1|")
    console = Console(width=300, record=True)
    console.print(tables([Evaluation(**{k: v for k, v in found.items() if k in FIELDS})] * 2))
    rows = [line.split("  ")[0] for line in console.export_text().splitlines()[1:]]
    assert rows == [found["run"], found["run"], "floor, the best", "baseline"]


def test_a_guess_that_is_none_is_refused_and_an_older_run_has_none(
    run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / GUESS).write_bytes(b"?")
    with pytest.raises(ValueError, match=f"{GUESS} cannot be read"):
        lt.evaluate(copy)
    (copy / GUESS).unlink()
    assert lt.evaluate(copy)["baseline"] == {}


@pytest.mark.parametrize("kind", ["text", "bytes", "pairs"])
def test_what_the_run_has_encoded_is_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "STORED_FROM", 0)
    tokenizer = ["tokenizer=bytes"] if kind == "bytes" else ["tokenizer=bpe"]
    if kind != "bytes":
        tokenizer.append("tokenizer.vocab_size=300")
    start(tmp_path / "run", (short_pairs if kind == "pairs" else short)(tmp_path, *tokenizer))
    same_as_own_test(tmp_path / "run")  # with the file's time of change just now
    own = lt.evaluate(tmp_path / "run")

    def refuse(*args: object) -> None:
        raise AssertionError("not again")

    with monkeypatch.context() as patched:
        patched.setattr(SubwordVocabulary, "encode_all", refuse)
        patched.setattr(ByteVocabulary, "encode", refuse)
        again = lt.evaluate(tmp_path / "run", ["data.eval_batch_size=5"])
        assert again["data"] == own["data"]
        assert again["metrics"]["test/loss"] == pytest.approx(own["metrics"]["test/loss"])
        if kind != "pairs":
            assert lt.evaluate(tmp_path / "run", split="train")["n_targets"]
    for file in (tmp_path / "cache").rglob("tokenizer.json"):
        file.write_text(file.read_text() + "\n")  # another one
    assert lt.evaluate(tmp_path / "run")["metrics"] == own["metrics"]


def loss_by_hand(run: Path, text: str, length: int) -> float:
    """Nats per token of a text and its end, behind the start token, row by row in float64."""
    model = load_run(run).double()
    vocabulary = model.task.vocabulary
    ids = torch.tensor([vocabulary.eos_id, *vocabulary.encode(text), vocabulary.eos_id])
    total = 0.0
    for begin in range(0, len(ids) - 1, length):
        row = ids[begin : begin + length + 1]
        with torch.no_grad():
            scores = model.task.head(model.features(Batch.without_labels(row[None, :-1])))[0]
        total += float(F.cross_entropy(scores, row[1:], reduction="sum"))
    return total / (len(ids) - 1)


def test_other_text_and_longer_rows_by_hand(run: Path, tmp_path: Path) -> None:
    text = "The cat sat on our old mat.\n" * 9
    (tmp_path / "other.txt").write_text(text, encoding="utf-8")
    typed = ["data=text", f"data.path={tmp_path / 'other.txt'}"]
    typed += ["data.val_fraction=0", "data.test_fraction=0"]
    for length in (LENGTH, 5 * LENGTH):
        found = lt.evaluate(run, [*typed, f"data.seq_len={length}"], split="train")
        expected = loss_by_hand(run, text, length)
        assert found["metrics"]["train/loss"] == pytest.approx(expected, rel=1e-5)
        assert found["n_targets"] == len(text) + 1
        assert (found["n_documents"], found["n_unknown"]) == (1, 0)
        assert math.isclose(
            found["document_losses"]["loss"].sum() / (len(text) + 1), expected, rel_tol=1e-5
        )


def test_the_tokenizer_stays_that_of_the_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("ééé the cat\n" * 20, encoding="utf-8")
    typed = ["data=text", f"data.path={tmp_path / 'other.txt'}", "data.test_fraction=0.5"]
    found = lt.evaluate(run, typed)
    assert found["n_unknown"] == 30  # three in each of ten lines
    assert found["data"]["bytes"] == 10 * len("ééé the cat\n".encode())


def test_the_digest_is_of_the_split(run: Path) -> None:
    splits = {name: lt.evaluate(run, split=name) for name in ("train", "val")}
    assert len({one["data"]["sha256"] for one in splits.values()}) == 2
    own = read(run).metrics  # of the last step, which was the best
    assert splits["val"]["metrics"]["val/loss"] == pytest.approx(own["val/loss"], rel=1e-6)


def test_learned_positions_end_where_their_table_does(tmp_path: Path) -> None:
    short_run(tmp_path / "run", "position=learned")
    assert lt.evaluate(tmp_path / "run", [f"data.seq_len={LENGTH // 2}"])["n_targets"]
    with pytest.raises(ConfigError, match=f"data.seq_len=17: the learned .* end at {LENGTH}; use"):
        lt.evaluate(tmp_path / "run", ["data.seq_len=17"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"overrides": "data.seq_len=8"}, "are a list of texts"),
        ({"overrides": ["data.seq_len=8,9"]}, "give one each"),
        ({"overrides": ["split=val"]}, "argument of its own"),
        ({"overrides": ["data=order"]}, "gives Labelled examples, but the task of .* reads Tokens"),
        ({"overrides": ["trainer.precision=16-mixed"]}, "is not for a cpu"),
        ({"overrides": ["data.test_fraction=0"]}, "split=test: the data have none; there is val"),
    ],
)
def test_what_does_not_fit_is_refused(run: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lt.evaluate(run, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("group", ["data", "trainer"])
def test_code_that_a_folder_names_is_not_run(run: Path, tmp_path: Path, group: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    config = OmegaConf.load(copy / "config.yaml")
    config[group]._target_ = "subprocess.Popen"
    OmegaConf.save(config, copy / "config.yaml")
    with pytest.raises(ValueError, match=f"{group}._target_=subprocess.Popen is no option of"):
        lt.evaluate(copy)
