"""tokenizer=pretrained: ids, special tokens and what stands around a row, as in the file."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.file import load_vocabulary
from lightning_transformer.data.tokenizers.pretrained import Pretrained, PretrainedVocabulary
from tests.helpers.model_folders import N_ROWS, word_pieces


def small_options(folder: Path) -> dict[str, Path]:
    """A folder of a run, whose bytes keep what every vocabulary of ours promises."""
    ByteVocabulary().save(folder / "tokenizer.json")
    return {"path": folder}


def folder(place: Path, config: dict[str, Any], **tokens: Any) -> Path:
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text(json.dumps({"vocab_size": N_ROWS} | config))
    word_pieces(**tokens).save(str(place / "tokenizer.json"))
    return place


def vocabulary(place: Path, config: dict[str, Any], **tokens: Any) -> PretrainedVocabulary:
    found = Pretrained(path=str(folder(place, config, **tokens))).train(["not read"])
    assert isinstance(found, PretrainedVocabulary)
    return found


def test_ids_are_those_of_the_library_and_the_table_is_as_high(tmp_path: Path) -> None:
    words = vocabulary(tmp_path, {"model_type": "bert", "pad_token_id": 0})
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "The quick fox jumps, over 7 dogs"
    assert words.encode(text).tolist() == library.encode(text, add_special_tokens=False).ids
    assert words.size == N_ROWS
    assert words.id_bytes.shape == (N_ROWS,)
    assert [*words.before, *words.encode(text), *words.after] == library.encode(text).ids
    assert (words.pad_id, words.unk_id, words.cls_id, words.mask_id) == (0, 1, 2, 4)
    assert words.bos_id == 5  # <s>, which is there
    assert words.decode([2, *words.encode("the fox"), 4, 3, 0]) == "the fox[MASK]"
    assert words.decode([1]) == "\ufffd"
    assert set(words.special_ids) == {*range(7), *range(len(library.get_vocab()), N_ROWS)}
    with pytest.raises(ValueError, match=r"must lie in \[0, 72\)"):
        words.decode([N_ROWS])


def test_roles_come_from_the_files_beside_it(tmp_path: Path) -> None:
    config = {"model_type": "t5", "decoder_start_token_id": 0, "eos_token_id": [6, 3]}
    words = vocabulary(tmp_path, config, around=None)
    assert (words.bos_id, words.eos_id, words.before, words.after) == (0, 6, (), ())
    named = {"eos_token": {"content": "[SEP]"}, "mask_token": "<unknown>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
    assert vocabulary(tmp_path, {"decoder_start_token_id": 0}).eos_id == 3


def test_a_special_token_that_is_missing_is_named_when_it_is_needed(tmp_path: Path) -> None:
    config = {"model_type": "llama", "eos_token_id": 6}
    words = vocabulary(tmp_path, config)
    words = PretrainedVocabulary(words.tokenizer, N_ROWS, {"eos_id": 6, "pad_id": 6})
    with pytest.raises(ValueError, match=r"the model has no mask token, which this task needs"):
        words.mask_id  # noqa: B018
    assert words.unk_id == -1
    assert pickle.loads(pickle.dumps(words.special_ids)).tolist() == words.special_ids.tolist()


def test_it_is_saved_and_read_again(tmp_path: Path) -> None:
    words = vocabulary(tmp_path / "a", {"model_type": "bert"})
    words.save(tmp_path / "tokenizer.json")
    again = load_vocabulary(tmp_path / "tokenizer.json")
    assert isinstance(again, PretrainedVocabulary)
    assert (again.size, again.special, again.before) == (words.size, words.special, words.before)
    assert np.array_equal(again.encode("a fox"), words.encode("a fox"))
    run = Pretrained(path=str(tmp_path)).train([])  # a folder of ours
    assert isinstance(run, PretrainedVocabulary)


def test_the_tokenizer_of_a_run_is_used_as_it_is(tmp_path: Path) -> None:
    ByteVocabulary().save(tmp_path / "tokenizer.json")
    assert isinstance(Pretrained(path=str(tmp_path)).train([]), ByteVocabulary)
    assert set(Pretrained(path=str(tmp_path)).identity()) == {"sha256"}


def test_a_table_that_is_too_small_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tokens for a table of 20 rows"):
        vocabulary(tmp_path, {"vocab_size": 20})
    with pytest.raises(ValueError, match=r"says no vocab_size"):
        vocabulary(tmp_path, {"vocab_size": None})
    place = folder(tmp_path, {})
    (place / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer.json cannot be read"):
        Pretrained(path=str(place)).train([])


def test_tokens_that_a_task_needs_can_be_added(tmp_path: Path) -> None:
    """They take the rows that no token has, here 20 of 72, then new ones, as the library counts."""
    words = vocabulary(tmp_path, {"model_type": "bert"})
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    n_tokens = len(library.get_vocab())
    names = [f"<m{i}>" for i in range(N_ROWS - n_tokens + 2)]
    library.add_special_tokens(names)
    option = Pretrained(path=str(tmp_path), add=names)
    found = option.train([])
    assert isinstance(found, PretrainedVocabulary)
    assert (found.size, found.n_new_rows, words.size) == (N_ROWS + 2, 2, N_ROWS)
    marked = found.with_marks(names)
    assert marked.mark_ids.tolist() == [library.token_to_id(name) for name in names]
    assert marked.decode([*words.encode("the fox"), N_ROWS + 1]) == f"the fox{names[-1]}"
    assert marked.encode(names[0]).tolist() == words.encode(names[0]).tolist()  # text is text
    marked.save(tmp_path / "again.json")
    again = load_vocabulary(tmp_path / "again.json")
    assert again.with_marks(names).mark_ids.tolist() == marked.mark_ids.tolist()
    assert (again.size, again.n_new_rows) == (N_ROWS + 2, 0)  # which its table has
    with pytest.raises(ValueError, match=r"^tokenizer.add=\[<m0>\] has no effect: this task has"):
        found.with_marks([])
    with pytest.raises(ValueError, match=r"tokenizer.add=\[cls\]: the model has this token"):
        words.with_rows(["cls"])
    with pytest.raises(ValueError, match=r"tokenizer.add=\[fox\]: the model has this token"):
        words.with_rows(["fox"])
    assert option.identity() != Pretrained(path=str(tmp_path)).identity()


def test_tokens_of_a_run_of_this_program_lack_nothing(tmp_path: Path) -> None:
    folder = small_options(tmp_path)["path"]
    with pytest.raises(ValueError, match=r"tokenizer.add=\[mask\] has no effect"):
        Pretrained(path=str(folder), add=["mask"]).train([])
    with pytest.raises(ValueError, match=r"tokenizer.add=\[3\] must name tokens"):
        Pretrained(path=str(folder), add=[3])  # type: ignore[list-item]
