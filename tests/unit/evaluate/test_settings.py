"""What an evaluation may change of a run, and what it leaves as it was trained."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.validate import plain
from lightning_transformer.errors import ConfigError
from lightning_transformer.evaluate.settings import Setting, changed, settings
from tests.conftest import compose_config


@pytest.fixture(scope="module")
def stored() -> DictConfig:
    """The configuration of a run as its folder has it."""
    typed = ["data.seq_len=32", "data.batch_size=4", "packing=documents", "trainer.max_minutes=5"]
    return OmegaConf.create(plain(compose_config(*typed)))


def test_commas_make_every_combination() -> None:
    found = settings(["data.seq_len=32,64", "split=val,test", "trainer.precision=bf16-mixed"])
    assert [(one.split, *one.overrides) for one in found] == [
        (split, f"data.seq_len={n}", "trainer.precision=bf16-mixed")
        for split in ("val", "test")
        for n in (32, 64)
    ]
    assert settings([]) == [Setting("test", ())]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("model.n_layers=2", "model.n_layers is fixed by the run; an evaluation may change split"),
        ("norm=rmsnorm,layernorm", "norm is fixed by the run"),
        ("seed=2", "seed is fixed by the run"),
        ("data.tokenizer=null", "data.tokenizer is fixed by the run"),
        ("packing=stream", "packing is fixed by the run"),
        ("splits=val", r"splits is fixed by the run.*did you mean split\?"),
        ("data.batch_size=8", "no effect in an evaluation; use data.eval_batch_size"),
        ("trainer.devices=2", "an evaluation runs on one device; leave it out"),
        ("split=dev", "split=dev must be one of test, val, train"),
        ("trainer.limit_val_batches=2", "limits split=val alone"),
        ("data.seq_len=32,32", "write each value out once"),
        ("+data.seq_len=32", "without"),
    ],
)
def test_what_may_not_change_is_refused_in_one_line(typed: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        settings([typed])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ["data.seqlen=32"],
            r"unknown key data.seqlen; did you mean data.seq_len\?|seqlen.*seq_len",
        ),
        (["data.seq_len=long"], "data.seq_len=long must be a whole number"),
        (["data=txt"], r"unknown option data=txt; did you mean text\?"),
        (["data=text"], "data.path has no value yet"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(
    stored: DictConfig, typed: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(stored, settings(typed)[0])


def test_only_what_is_asked_for_changes(stored: DictConfig) -> None:
    cfg = changed(stored, settings(["data.seq_len=64", "trainer.precision=64-true"])[0])
    assert cfg.data.seq_len == 64
    assert cfg.model == stored.model  # its positions and their scale are those of training
    assert cfg.trainer.precision == "64-true"
    assert cfg.trainer.max_minutes is None
    assert "tokenizer" not in cfg.data
    assert stored.data.seq_len == 32
    assert "tokenizer" in stored.data


def test_other_data_keep_length_and_packing_of_the_run(stored: DictConfig) -> None:
    typed = ["data=text", "data.path=a.txt", "data.test_fraction=0.5"]
    data = changed(stored, settings(typed)[0]).data
    assert data._target_.endswith("sources.text.Text")
    assert (data.path, data.test_fraction, data.val_fraction) == ("a.txt", 0.5, 0.1)
    assert data.seq_len == 32
    assert data.packing == stored.data.packing
