"""Precisions that a device lacks are refused, with those that it has."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.errors import ConfigError
from lightning_transformer.hardware import processor
from lightning_transformer.training.preflight.precision import check_precision, resolve_precision
from tests.helpers.short_runs import crash, refused, short, short_run

MACHINES = {"cpu": (False, False), "cuda": (True, False), "mps": (False, True)}


@pytest.fixture
def machine(monkeypatch):
    """Give `machine(kind, bf16)`, which makes torch see such a machine."""

    def pretend(kind: str, bf16: bool = True) -> None:
        cuda, mps = MACHINES[kind]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.mps, "is_available", lambda: mps)
        # An older GPU imitates bfloat16.
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)

    return pretend


@pytest.mark.parametrize(
    ("kind", "precisions"),
    [
        ("cpu", ["auto", "32-true", "bf16-mixed", "bf16-true", "64-true"]),
        ("cuda", ["auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true"]),
        ("mps", ["auto", "32-true", "bf16-mixed", "bf16-true", "16-mixed"]),
    ],
)
def test_what_a_device_has_is_taken(machine, kind, precisions):
    machine(kind)
    for precision in precisions:
        check_precision(precision, "auto", shards=False)


@pytest.mark.parametrize(
    ("kind", "accelerator", "precision", "line"),
    [
        ("cpu", "auto", "16-mixed", "is not for a cpu; use 32-true or bf16-mixed"),
        ("cuda", "cpu", "16-mixed", "is not for a cpu; use 32-true or bf16-mixed"),
        ("mps", "auto", "64-true", "is not for mps; use 32-true or trainer.accelerator=cpu"),
        ("cpu", "mps", "64-true", "is not for mps; use 32-true or trainer.accelerator=cpu"),
        (
            "cuda",
            "auto",
            "16-true",
            "is not for training: small gradients become 0; use 16-mixed or bf16-true",
        ),
    ],
)
def test_what_a_device_lacks_is_refused(machine, kind, accelerator, precision, line):
    machine(kind)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_precision(precision, accelerator, shards=False)
    assert str(caught.value) == f"trainer.precision={precision} {line}"


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_gpu_without_bfloat16(machine, precision):
    machine("cuda", bf16=False)
    with pytest.raises(ValueError, match=rf"={precision} is not for this gpu; use 16-mixed or 32"):
        check_precision(precision, "gpu", shards=False)
    check_precision("16-mixed", "gpu", shards=False)
    check_precision(precision, "cpu", shards=False)


def test_shards_have_no_scaler(machine):
    machine("cuda")
    with pytest.raises(ValueError, match=r"=16-mixed scales no .* bf16-mixed or trainer=ddp$"):
        check_precision("16-mixed", "auto", shards=True)


def test_what_nobody_knows_is_refused_with_the_list():
    with pytest.raises(ValueError, match=r"=fp8 is not known; one of auto, 32-true, bf16-m"):
        check_precision("fp8", "cpu", shards=False)


def test_on_the_command_line_it_is_one_line_before_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.prepare", crash)
    typed = [*short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}"]
    assert refused(monkeypatch, capsys, *typed, "trainer.precision=16-mixed") == (
        "trainer.precision=16-mixed is not for a cpu; use 32-true or bf16-mixed"
    )


@pytest.mark.parametrize(
    ("precision", "accelerator", "kind", "bf16", "wide", "expected"),
    [
        ("auto", "auto", "cuda", True, False, "bf16-mixed"),
        ("auto", "gpu", "cuda", True, True, "bf16-mixed"),
        ("auto", "auto", "cuda", False, True, "32-true"),
        ("auto", "auto", "cpu", True, True, "bf16-mixed"),
        ("auto", "cpu", "cuda", True, True, "bf16-mixed"),
        ("auto", "cpu", "cpu", True, False, "32-true"),
        ("auto", "cpu", "cpu", False, True, "32-true"),
        ("auto", "mps", "mps", True, True, "32-true"),
        ("64-true", "auto", "cuda", True, True, "64-true"),
        ("32-true", "cpu", "cpu", True, True, "32-true"),
    ],
)
def test_what_auto_stands_for(
    machine, monkeypatch, precision, accelerator, kind, bf16, wide, expected
):
    machine(kind, bf16)
    monkeypatch.setattr(processor, "has_bf16", lambda: bf16)
    assert resolve_precision(precision, accelerator, wide=wide) == expected


WIDE = ("trainer.precision=auto", "model.d_model=96", "trainer.max_steps=3")


@pytest.mark.parametrize(
    ("bf16", "typed", "expected"),
    [
        (True, [], "bf16-mixed"),
        (True, ["model.d_model=88"], "32-true"),
        (True, ["trainer.precision=32-true"], "32-true"),
        (False, [], "32-true"),
    ],
)
def test_a_run_says_and_records_what_auto_took(
    machine, monkeypatch, tmp_path, capsys, bf16, typed, expected
):
    machine("cpu")
    monkeypatch.setattr(processor, "has_bf16", lambda: bf16)
    assert short_run(tmp_path / "run", *WIDE, *typed).precision == expected
    line = "trainer.precision=auto takes bf16-mixed: this processor has it"
    assert (line in capsys.readouterr().out) == (expected != "32-true")


def test_a_run_goes_on_in_the_precision_it_began_with(machine, monkeypatch, tmp_path):
    machine("cpu")
    monkeypatch.setattr(processor, "has_bf16", lambda: True)
    short_run(tmp_path / "run", *WIDE)
    monkeypatch.setattr(processor, "has_bf16", lambda: False)
    with pytest.raises(ConfigError) as caught:
        short_run(tmp_path / "run", *WIDE, "trainer.max_steps=4", resume=True)
    assert str(caught.value) == (
        "trainer.precision=auto is 32-true on this machine and was bf16-mixed where the "
        "run began; add trainer.precision=bf16-mixed to go on as it was"
    )
    typed = ["trainer.precision=bf16-mixed", "trainer.max_steps=4"]
    assert short_run(tmp_path / "run", *WIDE, *typed, resume=True).steps == 4
