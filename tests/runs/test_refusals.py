"""What cannot work is refused in one line that names the key, the value and a way out."""

from __future__ import annotations

import re

import pytest
import torch

from lightning_transformer.config import compose
from lightning_transformer.config.compose import preflight, register
from lightning_transformer.data.sources.pydocs import PyDocs
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.result import read
from tests.conftest import options
from tests.helpers.short_runs import (
    crash,
    refused,
    short,
    start,
)

GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
ON_DISK = {group: options(group) for group in GROUPS}
# What was typed, and what its line must say.
REFUSED = [
    ("norm=rmsnrom", "unknown option norm=rmsnrom; did you mean rmsnorm? (choose from "),
    ("model=null", "unknown option model=null (choose from decoder_only, "),
    ("preset=null", "preset=null: without preset there is none, so leave it out"),
    ("preset=gtp2", "unknown option preset=gtp2; did you mean gpt2?"),
    ("nrm=rmsnorm", "unknown key nrm; did you mean norm?"),
    ("norm.epz=1", "unknown key norm.epz; did you mean norm.eps?"),
    ("lr=1e-3", "unknown key lr; did you mean optimizer.lr?"),
    ("max_steps=3", "unknown key max_steps; did you mean trainer.max_steps?"),
    ("tranier.max_steps=3", "unknown key tranier.max_steps; did you mean trainer.max_steps?"),
    ("model.n_layer=3", "unknown key model.n_layer; did you mean model.n_layers?"),
    ("model=encoder_decoder model.n_layers=3", "unknown key model.n_layers; did you mean model.n_"),
    ("+optim=adam", "unknown key optim; did you mean optimizer?"),
    ("zzz=1", "unknown key zzz (groups: activation, adapter, attention, "),
    ("trainer.zzz=1", "unknown key trainer.zzz (trainer has "),
    ("+norm.foo=1", "unknown key norm.foo (RMSNorm takes dim, eps"),
    ("+activation.foo=1", "unknown key activation.foo (SwiGLU takes "),
    ("norm.eps=abc", "norm.eps=abc must be a number"),
    ("norm.eps=${foo}", "norm.eps: Interpolation key 'foo' not found"),
    ("model.n_layers=2.5", "model.n_layers=2.5 must be a whole number"),
    ("model.n_layers=true", "model.n_layers=True must be a whole number"),
    ("trainer.max_steps=1e3", "trainer.max_steps=1000.0 must be a whole number"),
    ("trainer.deterministic=yes", "trainer.deterministic=yes must be true or false"),
    ("model.norm=layernorm", "model.norm=layernorm names no component: write norm=layernorm"),
    ("data.tokenizer=bpe", "data.tokenizer=bpe names no component: write tokenizer=bpe"),
    ("norm._target_=nope.Norm", "norm._target_=nope.Norm: there is no package nope"),
    ("norm._target_=os.system", "norm._target_=os.system: the source of os cannot be read"),
    ("data=text", "data.path has no value yet: add data.path=... to the command line"),
    ("tokenizer=file", "tokenizer.path has no value yet: add tokenizer.path=... to "),
    ("pooling=cls", "pooling=cls has no effect here: "),
    ("data=restore packing=documents", "packing has no effect here: it belongs to data=corpus, "),
    (
        "masking=span",
        "masking has no effect here: it belongs to task=masked_lm, as model=encoder_only has it; ",
    ),
    # An option that chooses what another choice of the run does not use.
    (
        "experiment=norms data=labelled",
        "experiment=norms chooses packing, which data=labelled does not use; leave out data=lab",
    ),
    (
        "norm=rmsnorm experiment=norms seed=1 data=restore,pydocs",
        "experiment=norms chooses packing, which data=restore does not use; leave out data=res",
    ),
    (
        "schedule.warmup=0.2 schedule.warmup_steps=5",
        "schedule.warmup has no effect beside schedule.warmup_steps=5; leave it out, or add sch",
    ),
    ("schedule.warmup=0.2 schedule.warmup_steps=null,5", "schedule.warmup has no effect beside"),
    ("data.path=x", "unknown key data.path (data has seq_len, "),
    ("pattern.window=3", "unknown key pattern.window (the chosen pattern has no options)"),
    ("+callbacks.x.n=1", "callbacks.x names no class: add callbacks.x._target_=..."),
    ("+logger.x.n=1", "logger.x names no class: add logger.x._target_=..."),
    (
        "+logger._target_=a.B",
        "logger._target_=a.B needs a name of its own, because a run may have s",
    ),
    ("logger=[csv,tensorbord]", "unknown option logger=tensorbord; did you mean tensorboard?"),
    ("logger=[csv,csv]", "logger=[csv,csv]: each option once, and none alone; write logger=csv"),
    ("logger=[none,csv]", "logger=[none,csv]: each option once, and none alone; write logger=csv"),
    ("logger=[]", "logger=[]: each option once, and none alone; write logger=none"),
    ("norm=[rmsnorm,layernorm]", "norm=[rmsnorm,layernorm]: a run has one norm; several make a sw"),
    ("~norm", "~norm: every run has a norm; choose from "),
    ("seed=-1", "seed=-1 must be a whole number from 0 to 2**63"),
    ("hydra.nope=1", "hydra.nope"),
    ("norm", "cannot read 'norm': write key=value"),
    ("a=[1,", "cannot read 'a=[1,': write key=value, and quote values with spaces"),
    # Each value of a sweep is looked at.
    ("norm=rmsnorm,layrnorm", "unknown option norm=layrnorm; did you mean layernorm?"),
    ("norm.eps=1e-5,abc", "norm.eps=abc must be a number"),
    ("model=decoder_only,encoder_decoder model.n_layers=2", "model.n_layers"),
    ("seed=1,2 norm=rmsnorm,none norm.eps=1e-5", "norm.eps"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look for the options on disk once and not in each of a hundred tests."""
    register()
    monkeypatch.setattr(compose, "groups", lambda loader: ON_DISK)


@pytest.mark.parametrize(("typed", "words"), REFUSED)
def test_refusals_name_what_is_wrong_and_what_is_near(typed, words):
    with pytest.raises(ConfigError) as caught:
        preflight(typed.split())
    # Hydra's own words may stand before those that matter.
    assert re.search(rf"^(Could not override ')?{re.escape(words)}", str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "n_jobs"),
    [
        ("", 1),
        ("data=text data.path=x", 1),
        ("data=text data.path='a,b'", 1),
        ("norm.eps=1 trainer.clip=null trainer.clip=1", 1),
        ("experiment=norms schedule.warmup_steps=5", 1),
        ("schedule.warmup=0.2 schedule.warmup_steps=null", 1),
        ('sweep="größe" seed=1,2', 2),
        ("norm.eps=${optimizer.lr} +norm.dim=3 ~norm.eps ~callbacks.samples", 1),
        ("trainer.devices=auto hydra.run.dir=x hydra/launcher=basic", 1),
        ("+callbacks.x._target_=lightning_transformer.training.callbacks.sample_writer.Samples", 1),
        ("+logger.x._target_=lightning.pytorch.loggers.CSVLogger +logger.x.name=y", 1),
        ("logger=[csv,tensorboard] callbacks=[ema,early_stopping] callbacks.ema.decay=0.9", 1),
        ("callbacks=default,[ema,early_stopping]", 2),
        ("norm=rmsnorm,layernorm seed=1,2,3", 6),
        ("norm=glob(*) model.n_layers=range(1,4)", 3 * len(options("norm"))),
        ("optimizer.lr=interval(1e-4,1e-2)", 2),  # how many, only its sweeper knows
    ],
)
def test_what_is_right_passes_and_counts_its_jobs(typed, n_jobs):
    assert preflight(typed.split()) == n_jobs


EARLY = "+callbacks.x._target_=lightning.pytorch.callbacks.EarlyStopping"
# Refusals that need torch or the data, for a run that would otherwise do.
REFUSED_LATER = [
    (
        "model.d_model=33",
        "model.d_model=33 is not divisible by attention.n_heads=4; nearest 32 or ",
    ),
    ("attention.n_heads=5", "model.d_model=32 is not divisible by attention.n_heads=5; nearest "),
    ("attention=gqa attention.n_kv_heads=3", "attention.n_kv_heads=3 must divide attention.n_hea"),
    ("norm.eps=-1", "norm.eps=-1 must be a positive number"),
    ("residual.dropout=1.0", "residual.dropout=1.0 must be at least 0 and below 1"),
    ("optimizer.lr=-1", "optimizer.lr=-1 must be a positive number"),
    ("optimizer.lr=nan", "optimizer.lr=nan must be a positive number"),
    ("schedule.warmup_steps=6", "schedule.warmup_steps=6 must be below trainer.max_steps=6"),
    ("trainer.precision=16", "trainer.precision=16 must be text"),
    ("trainer.precision=half", "trainer.precision=half is not known; one of auto, 32-true, "),
    ("trainer.devices=0", "trainer.devices=0 must be at least 1"),
    ("callbacks=default callbacks.samples.n=0", "callbacks.n=0 must be at least 1"),
    ("trainer.monitor=val/los", "trainer.monitor=val/los is no metric of validation; did you me"),
    ("trainer.monitor=val/accuracy", "trainer.monitor=val/accuracy is no metric of validation "),
    (
        f"{EARLY} +callbacks.x.monitor=val_loss",
        "callbacks.x.monitor=val_loss is no metric of validation; did you mean val/loss?",
    ),
    (
        "trainer.clip_value=1.0",
        "trainer.clip_value=1.0 beside trainer.clip=1.0: a gradient is clipp",
    ),
    (
        "+callbacks.x._target_=lightning.pytorch.loggers.CSVLogger +callbacks.x.save_dir=x",
        "callbacks.x._target_=lightning.pytorch.loggers.CSVLogger is no callback of Lightning",
    ),
    (
        "task=masked_lm",
        "task=masked_lm needs a bidirectional model; model=decoder_only is not. Use mode",
    ),
    ("task=classification pooling=cls", "pooling=cls reads the first token, which sees none of"),
    (
        "task=seq2seq",
        "task=seq2seq needs a model with a source; model=decoder_only is not. Use mod",
    ),
    ("model=encoder_only task=tagging", "task=tagging reads Tagged examples, but data=text gives"),
    ("data.path=/no/such/file", "data.path=/no/such/file: no such file"),
    (
        "data.batch_size=9 trainer.accumulate=2",
        "data.batch_size=9 is not a multiple of trainer.acc",
    ),
    ("data.batch_size=100000", "data.batch_size=100000 is larger than the training split of "),
    ("data.seq_len=100000", "data: train split has 9665 tokens, needs >= 100000"),
    ("data.val_fraction=1.5", "data.val_fraction=1.5 "),
]


@pytest.mark.parametrize(("typed", "line"), REFUSED_LATER)
def test_a_run_that_cannot_work_is_refused_in_one_line(tmp_path, typed, line):
    folder = tmp_path / "run"
    with pytest.raises(ConfigError) as caught:
        start(folder, short(tmp_path, *typed.split()), choices=CHOICES | dict(pairs(typed)))
    said = str(caught.value)
    assert said.startswith(line)
    assert "\n" not in said
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "traceback.txt"]
    assert read(folder).error == f"ConfigError: {said}"


CHOICES = {"model": "decoder_only", "task": "causal_lm", "data": "text"}


def pairs(typed):
    return (text.split("=", 1) for text in typed.split())


@pytest.mark.parametrize(
    ("typed", "line"), [c for c in REFUSED_LATER if c[0].startswith(("attention.n_h", "data.path"))]
)
def test_such_a_refusal_is_one_line_on_the_command_line(tmp_path, monkeypatch, capsys, typed, line):
    typed = [*short(tmp_path), typed, f"hydra.run.dir={tmp_path / 'run'}"]
    assert refused(monkeypatch, capsys, *typed).startswith(line)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_data_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(PyDocs, "prepare", crash)
    said = refused(monkeypatch, capsys, "trainer=gpu", f"hydra.run.dir={tmp_path / 'run'}")
    assert said == "trainer.accelerator=gpu but torch sees no GPU; use cpu"
