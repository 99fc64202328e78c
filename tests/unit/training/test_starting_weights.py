"""Models that start with trained weights: scores of Hugging Face's, strictness, what is said."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_transformer.build import build, build_model, merged_weights
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.training.starting_weights import load_start
from tests.conftest import compose_config
from tests.helpers.model_folders import MODELS, N_ROWS, SEQ_LEN, model_of, save
from tests.helpers.started import IDS, SOURCE, scores, started, started_config
from tests.unit.generate.folders import make_run

TOLERANCE = 1e-5  # of float32 scores of size 1 to 20


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family."""
    place = tmp_path_factory.mktemp("models")
    return {name: save(model_of(name), place / name) for name in MODELS}


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_a_model_from_a_folder_equals_hugging_face(folders: dict[str, Path], name: str) -> None:
    theirs = model_of(name)
    model, start, _ = started(folders[name])
    if model.has_source:
        expected = theirs(input_ids=SOURCE, decoder_input_ids=IDS).logits
        found = scores(model, IDS, source_ids=SOURCE)
    else:
        expected, found = theirs(IDS).logits, scores(model, IDS)
    assert float(expected.std(dim=-1).min()) > 0.1  # which says something
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
    assert (start.family, start.fresh) == (name, [])
    assert len(start.sha256) == 64


def test_a_model_without_its_head_starts_a_classifier(tmp_path: Path) -> None:
    theirs = model_of("bert", "BertModel")
    folder = save(theirs, tmp_path / "bare")
    model, start, said = started(folder, "task=classification", "data=package")
    assert start.fresh == ["task.head.weight", "task.head.bias"]
    assert said == [
        f"36 tensors from {folder}, not used: bert.pooler.dense; new: task.head.weight, "
        "task.head.bias"
    ]
    with torch.no_grad():
        hidden = theirs(IDS).last_hidden_state
        batch = Batch(IDS, torch.zeros(2, dtype=torch.long), torch.tensor(2), IDS.numel())
        torch.testing.assert_close(model.features(batch), hidden, rtol=0, atol=TOLERANCE)
    again, _, _ = started(folder, "task=classification", "data=package")
    other, _, _ = started(folder, "task=classification", "data=package", seed=2)
    assert torch.equal(model.task.head.weight, again.task.head.weight)
    assert not torch.equal(model.task.head.weight, other.task.head.weight)


def test_rows_of_a_classifier_stand_between_the_tokens_of_the_model(
    folders: dict[str, Path],
) -> None:
    model, _, _ = started(folders["bert"], "task=classification", "data=package")
    words = model.task.vocabulary
    row = model.task.encode_input("the quick fox")
    assert words.decode(row) == "the quick fox"
    assert row[[0, -1]].tolist() == [2, 3]  # [CLS] and [SEP] of the file
    batch = model.task.collator("train")([model.task.example(row[1:-1], 1)], [0])
    assert batch.input_ids.tolist() == [row.tolist()]
    assert model.max_len == 16 + 2


def test_masked_rows_stand_between_the_tokens_too(folders: dict[str, Path]) -> None:
    model, _, _ = started(folders["bert"], "task=masked_lm", "task.mask_rate=0.99")
    ids = np.arange(10, 20, dtype=np.int64)
    batch = model.task.collator("val")([model.task.example(ids)], [1])
    assert batch.input_ids[0, [0, -1]].tolist() == [2, 3]
    assert batch.labels[0, [0, -1]].tolist() == [-100, -100]
    assert batch.input_ids.shape == (1, len(ids) - 1 + 2)
    assert 4 in batch.input_ids[0]  # [MASK] of the file
    filled = model.task._fill_text(model, "the [MASK] fox", "x", PredictOptions())
    assert filled.split()[::2][0] == "the"
    assert filled.endswith(" fox")


def test_positions_may_be_more_and_not_fewer(folders: dict[str, Path]) -> None:
    model, _, _ = started(folders["bert"], "task=masked_lm")
    assert model.encoder.position.table.weight.shape[0] == 18
    with pytest.raises(ValueError, match=f"beyond the {SEQ_LEN} learned .* data.seq_len=22"):
        started(folders["bert"], "task=masked_lm", "data.seq_len=23")


def test_weights_must_fit_but_for_what_is_fresh(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"final_norm.bias is missing; .* 'fresh=\[\"PATTERN"):
        started(folders["llama"], "norm=layernorm")
    model, start, _ = started(folders["llama"], "norm=layernorm", "fresh=['*norm*']")
    assert len(start.fresh) == 2 * 5
    assert torch.equal(model.decoder.final_norm.weight, torch.ones(32))
    with pytest.raises(ValueError, match=r"^fresh=\[nrom\] fits no name of a weight, such as"):
        started(folders["llama"], "fresh=[nrom]")


def test_a_planted_nan_is_found(tmp_path: Path) -> None:
    theirs = model_of("llama")
    with torch.no_grad():
        theirs.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    folder = save(theirs, tmp_path / "nan")
    with pytest.raises(ValueError, match=r"model.layers.1.mlp.up_proj.weight holds NaN"):
        started(folder)


def test_the_advice_for_a_missing_token_works(tmp_path: Path) -> None:
    """As it is typed: rows of the table stay, and new ones are drawn from the seed."""
    folder = save(model_of("llama"), tmp_path / "llama")
    tokens = json.loads((folder / "tokenizer.json").read_text())
    n = len(tokens["model"]["vocab"])  # as many as the table has rows
    tokens["model"]["vocab"] |= {f"word{i}": i for i in range(n, N_ROWS)}
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    with pytest.raises(ValueError, match="of which the model has 0; it lacks") as refusal:
        started(folder, "task=fill_in_middle")
    advice = shlex.split(re.findall(r"add rows by (.*), or choose", str(refusal.value))[0])
    model, start, said = started(folder, "task=fill_in_middle", *advice)
    marks = list(model.task.vocabulary.marks)
    assert said[0].endswith(f"new rows: {', '.join(marks)}")
    assert start.fresh == []
    theirs = model_of("llama")
    table = model.embedding.weight
    assert torch.equal(table[:N_ROWS], theirs.get_input_embeddings().weight)
    assert len(table) == len(model.task.head.weight) == N_ROWS + len(marks)
    assert len({float(row[0]) for row in table[N_ROWS:]}) == len(marks)
    again, _, _ = started(folder, "task=fill_in_middle", *advice)
    assert torch.equal(again.embedding.weight, table)
    expected = theirs(IDS).logits
    torch.testing.assert_close(scores(model, IDS)[..., :N_ROWS], expected, rtol=0, atol=TOLERANCE)


def test_only_what_is_new_is_drawn_and_as_always(folders: dict[str, Path]) -> None:
    """A model without initial weights ends as one that had them."""
    for own in ((), ("task=classification", "data=package"), ("fresh=['*.blocks.0.*']",)):
        cfg = started_config(folders["bert"], "data.seq_len=16", *own)
        words = build(cfg, "tokenizer").train([])
        given = {"vocabulary": words, "labels": ("a", "b"), "dropout_seed": 1}
        drawn = build_model(cfg, seed=1, **given)
        load_start(cfg, drawn, [].append)
        bare = build_model(cfg, seed=None, **given)
        assert not torch.equal(bare.embedding.weight, drawn.embedding.weight)
        load_start(cfg, bare, [].append, seed=1)
        for name, weight in drawn.state_dict().items():
            assert torch.equal(weight, bare.state_dict()[name]), name


def test_an_untied_output_goes_over_to_another_task_over_the_same_tokens(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "causal_lm")
    there = merged_weights(run)
    assert not torch.equal(there["task.head.weight"], there["embedding.weight"])
    size = ("init=normal", "model.n_layers=1", "model.d_model=32", "tie_embeddings=false")
    for own in ((), ("fresh=['task.head.*']",)):
        cfg = compose_config(*size, "task=instruct", "data.seq_len=16", f"init_from={run}", *own)
        model = build_model(cfg, vocabulary=ByteVocabulary(), labels=(), seed=None, dropout_seed=1)
        start = load_start(cfg, model, [].append, seed=7)
        assert start.fresh == (["task.head.weight"] if own else [])
        for name, weight in model.state_dict().items():
            assert torch.equal(weight, there[name]) != (name in start.fresh), name
