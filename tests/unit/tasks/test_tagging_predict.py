from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.data.tokenizers.bpe import BPE
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.tagging import WORD
from tests.conftest import LABELS
from tests.unit.generate.folders import make_run
from tests.unit.tasks.predicting import written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def tags_of_tokens(model: Transformer, ids: list[int]) -> list[str]:
    row = torch.tensor([ids])
    with torch.no_grad():
        features = model.features(Batch(row, row, torch.tensor(1), row.numel()))
        return [LABELS[i] for i in model.task.head(features)[0].argmax(dim=-1).tolist()]


def test_the_tag_is_read_at_the_first_byte_of_a_word(folder: Path) -> None:
    model = load_run(make_run(folder / "bytes", "tagging"))
    text = "é über,f(x) 日 ."
    said, remarks = written(model, (text, "", "a"))
    ids = list(text.encode())
    # It reads 16 of the 19 bytes: two windows, which meet in the middle of what both have.
    tags = tags_of_tokens(model, ids[:16])[:9] + tags_of_tokens(model, ids[3:])[9 - 3 :]
    places = [(w, text.index(w)) for w in ("é", "über", "f", "x", "日", ".")]
    bytes_before = [(w, len(text[:at].encode())) for w, at in places]
    expected = [f"{w}\t{tags[at]}" for w, at in bytes_before]
    assert len(set(tags)) > 1
    assert said == "\n".join(expected) + f"\n\n\na\t{tags_of_tokens(model, [97])[0]}\n\n"
    assert remarks == ""


def test_a_token_that_starts_with_a_space_counts_for_its_word(folder: Path) -> None:
    vocabulary = BPE(vocab_size=280).train(["the cat sat on the mat"] * 9)
    model = load_run(make_run(folder / "bpe", "tagging", vocabulary=vocabulary))
    ids, starts = vocabulary.encode_with_starts("the cat")
    at = starts.tolist().index(3)  # the token " cat", or its first part
    assert (
        written(model, ("the cat",))[0].split("\n")[1]
        == f"cat\t{tags_of_tokens(model, ids.tolist())[at]}"
    )


def test_words() -> None:
    assert WORD.findall("def f(x_1): return os.path - y , 'z'.") == [
        "def", "f", "x_1", "return", "os", "path", "-", "y", ",", "z",
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--top-k", "--batch-size"])
def test_options_without_effect_are_refused(folder: Path, option: str) -> None:
    model = load_run(make_run(folder / option, "tagging"))
    with pytest.raises(ValueError, match=f"{option} has no effect"):
        written(model, ("a",), given=frozenset([option]))
