"""What users get wrong, by the numbers of a list of 52: the one line that each must get.

Rows of the list that this file does not hold, and why:
  5, 11, 22 are no refusals: tests/unit/decoding/test_decode.py, tests/unit/models/test_base.py with
    tests/unit/tasks/metrics/test_metrics.py, and tests/unit/data/test_files.py show that
    generation slides or stops, that a step without a mask counts nothing, and that
    BOM, CRLF, NUL and long lines are read.
  6, 7, 8, 9, 40: files of token ids do not exist here. Text is encoded by the tokenizer of the run,
    which gives the model its vocabulary and is stored beside the weights. Tied tables are one.
  33 is in tests/runs/test_refusals.py, with many more of rows 29 to 32.
  37: a position encoding is never applied to cross-attention, so there is nothing to refuse.
  38: a window in a model that sees both sides is a variant of its own, tested by its pattern; one
    that is as long as a row is noticed: tests/unit/training/test_notices.py.
  39, 41: there are no experts and no pipelines. 42: tests/unit/distributed/test_parallelize.py.
  44, 46: every number of CPU processes is allowed, and both kernels take every shape and type.
  48, 49: tests/runs/test_resume.py. 50, 51: tests/runs/test_cli.py,
    tests/unit/checkpoint/test_store.py.
  45, 52 (sizes) in full: tests/unit/training/preflight/test_precision.py and test_memory.py.
"""

from __future__ import annotations

import json
import logging

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.errors import ConfigError
from tests.helpers.short_runs import crash, refused, sentences, short, short_pairs, start
from tests.unit.generate.folders import make_run

CHOICES = {"model": "decoder_only", "task": "causal_lm", "data": "text"}
TABLE = [
    (1, "model.d_model=34", ["model.d_model=34", "attention.n_heads=4", "nearest 32 or 36"]),
    (2, "attention=gqa attention.n_kv_heads=3", ["attention.n_kv_heads=3", "n_heads=4", "1, 2, 4"]),
    (3, "model.d_model=36", ["position=rope", "even head_dim", "got 9", "d_model 36", "n_heads 4"]),
    (
        4,
        "position=learned model.max_len=8",
        ["data.seq_len=16", "model.max_len=8", "position=learned", "position=rope"],
    ),
    (13, "data.seq_len=100000", ["train split has 9665 tokens", ">= 100000", "data.seq_len=9665"]),
    (14, "data.val_fraction=1e-9", ["data.val is empty", "data.val_fraction"]),
    (15, "data.batch_size=4000", ["data.batch_size=4000", "training split", "use at most 604"]),
    (16, "data.batch_size=10 trainer.accumulate=4", ["data.batch_size=10", "= 4", "nearest 8, 12"]),
    (17, "trainer.max_steps=0", ["trainer.max_steps=0", "at least 1"]),
    (17, "trainer.max_steps=-5", ["trainer.max_steps=-5", "at least 1"]),
    (17, "trainer.max_steps=null", ["trainer.max_steps=null", "a whole number"]),
    (18, "schedule.warmup_steps=6", ["schedule.warmup_steps=6", "trainer.max_steps=6"]),
    (19, "data.path=TMP/txet.txt", ["data.path=TMP/txet.txt", "no such file", "TMP/text.txt"]),
    (20, "data.path=TMP", ["data.path=TMP is a folder", "TMP/*"]),
    (34, "optimizer.lr=nan", ["optimizer.lr=nan", "a positive number", "for example"]),
    (34, "optimizer.lr=inf", ["optimizer.lr=inf", "a positive number", "for example"]),
    (34, "optimizer.lr=-1", ["optimizer.lr=-1", "a positive number", "for example"]),
    (34, "model.dropout=1.0", ["model.dropout=1.0", "below 1"]),
    (34, "attention.dropout=-0.1", ["attention.dropout=-0.1", "at least 0"]),
    (34, "optimizer=adamw optimizer.beta2=1.0", ["optimizer.beta2=1.0", "below 1"]),
    (34, "optimizer=adamw optimizer.eps=0", ["optimizer.eps=0", "positive"]),
    (34, "trainer.clip=-1", ["trainer.clip=-1", "positive"]),
    (34, "norm.eps=0", ["norm.eps=0", "positive"]),
    (34, "ffn.hidden_mult=inf", ["ffn.hidden_mult=inf", "positive"]),
    (34, "position.base=-1", ["position.base=-1", "positive"]),
    (35, "task=masked_lm", ["task=masked_lm", "model=decoder_only", "Use model=encoder_only"]),
    (36, "model=encoder_only task=causal_lm", ["task=causal_lm", "Use model=decoder_only"]),
    (38, "pattern=sliding_window pattern.window=0", ["pattern.window=0", "at least 1"]),
    (45, "trainer.precision=16-mixed", ["trainer.precision=16-mixed", "cpu", "32-true"]),
    (45, "trainer.precision=16-true", ["trainer.precision=16-true", "16-mixed", "bf16-true"]),
    (45, "trainer.precision=fp8", ["trainer.precision=fp8", "32-true", "bf16-mixed"]),
    # Sizes that no machine holds are refused before anything is allocated.
    (52, "model.d_model=4000000", ["model.d_model=4000000", "GB", "of memory"]),
    (52, "model.n_layers=1000000000", ["model.n_layers=1000000000", "at most 4096"]),
    (52, "ffn.hidden_mult=1e12", ["ffn.hidden_mult=1000000000000", "GB", "of memory"]),
    (52, "data.batch_size=1000000000", ["data.batch_size=1000000000", "trainer.accumulate="]),
    (52, "data.num_workers=1000000", ["data.num_workers=1000000", "at most"]),
]


@pytest.mark.parametrize(("row", "typed", "words"), TABLE)
def test_a_bad_setting_is_refused_in_one_line(tmp_path, row, typed, words):
    here = str(tmp_path)
    overrides = short(tmp_path, *typed.replace("TMP", here).split())
    choices = CHOICES | dict(text.split("=", 1) for text in typed.split())
    with pytest.raises(ConfigError) as caught:
        start(tmp_path / "run", overrides, choices=choices)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400 + 3 * len(here)
    for word in words:
        assert word.replace("TMP", here) in said, said
    assert not (tmp_path / "run" / "checkpoints").exists()


FILES = [
    (12, "data=text", {"f.txt": ""}, "data.path=TMP/f.txt", ["data.path=TMP/f.txt is empty"]),
    (21, "data=text", {"f.txt": b"abc\xff"}, "data.path=TMP/f.txt", ["byte 3", "0xff", "iconv"]),
    (
        23,
        "data=labelled",
        {"f.jsonl": '{"text": "a", "label": "b"}\n{"text"\n'},
        "data.path=TMP/f.jsonl",
        ["f.jsonl:2", "one JSON object per line"],
    ),
    (
        24,
        "data=labelled",
        {"f.jsonl": '{"txt": "a", "label": "b"}\n'},
        "data.path=TMP/f.jsonl",
        ["f.jsonl:1", "no key 'text'", "found: label, txt"],
    ),
    (
        24,
        "data=labelled",
        {"f.csv": "txt,label\na,b\n"},
        "data.path=TMP/f.csv",
        ["f.csv:1", "no column 'text'", "found: txt, label"],
    ),
]


@pytest.mark.parametrize(("row", "data", "files", "typed", "words"), FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path, row, data, files, typed, words):
    for name, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
    overrides = [o for o in short(tmp_path) if not o.startswith(("data=", "data.path"))]
    more = ["model=encoder_only", "task=classification"] if data == "data=labelled" else []
    chosen = {"model": "encoder_only", "task": "classification", "data": "labelled"} if more else {}
    typed = typed.replace("TMP", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        start(tmp_path / "run", [*overrides, *more, data, typed], choices=CHOICES | chosen)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word.replace("TMP", str(tmp_path)) in str(caught.value)


def labelled(tmp_path, *overrides):
    """What to type for a classifier of lines in two files."""
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(sentences(60, seed=3))]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    kept = [o for o in short(tmp_path) if not o.startswith(("data=", "data.path"))]
    more = ["model=encoder_only", "task=classification", "data=labelled"]
    return [*kept, *more, f"data.path={tmp_path / 'train.jsonl'}", *overrides]


CLASSIFIES = {"model": "encoder_only", "task": "classification", "data": "labelled"}


def test_row_10_a_label_that_training_lacks(tmp_path):
    (tmp_path / "val.jsonl").write_text('{"text": "a cat", "label": "c"}')
    typed = labelled(tmp_path, f"data.val_path={tmp_path / 'val.jsonl'}")
    with pytest.raises(
        ConfigError, match="label 'c' at val example 1 is not among the 2"
    ) as caught:
        start(tmp_path / "run", typed, choices=CLASSIFIES)
    assert str(caught.value).endswith("a, b")


def test_row_25_parallel_files_of_different_length(tmp_path):
    typed = short_pairs(tmp_path)
    (tmp_path / "target").write_text("one line\n")
    choices = {"model": "encoder_decoder", "task": "seq2seq", "data": "parallel"}
    with pytest.raises(ConfigError, match=r"source has 100 lines, .*target has 1;"):
        start(tmp_path / "run", typed, choices=choices)


def test_rows_26_27_28_are_counted_in_the_log(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    typed = labelled(tmp_path, "data.seq_len=8", "trainer.max_steps=3")
    rows = (tmp_path / "train.jsonl").read_text().splitlines()
    (tmp_path / "train.jsonl").write_text("\n".join([*rows, '{"text": " ", "label": "a"}']))
    (tmp_path / "test.jsonl").write_text(rows[0] + "\n" + rows[1])
    test = [f"data.test_path={tmp_path / 'test.jsonl'}", "data.val_fraction=0"]
    start(tmp_path / "run", [*typed, *test], choices=CLASSIFIES)
    said = caplog.text
    assert "1 rows without text or label dropped" in said
    assert "examples are longer than seq_len=8: truncated" in said
    assert "2 of 2 test examples are also in the training split" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_row_43_a_gpu_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"^trainer\.accelerator=gpu but torch sees no GPU; use"):
        start(tmp_path / "run", short(tmp_path, "trainer=gpu"), choices=CHOICES)


def test_row_47_a_checkpoint_of_another_architecture_names_the_differences(tmp_path):
    run = make_run(tmp_path / "run", "causal_lm")
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("n_layers: 1", "n_layers: 2"))
    with pytest.raises(ValueError, match=r"does not fit its config\.yaml: ") as caught:
        load_run(run)
    said = str(caught.value)
    assert said.count("decoder.blocks.1.") == 5  # of more: a line can be read
    assert "is missing" in said
    assert "\n" not in said


def test_on_the_command_line_it_is_one_line_and_exit_code_2_before_data(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.prepare", crash)
    folder = tmp_path / "run"
    for typed in ("model.d_model=34", "trainer.max_steps=0", "model.d_model=4000000"):
        said = refused(monkeypatch, capsys, *short(tmp_path), typed, f"hydra.run.dir={folder}")
        assert typed in said
