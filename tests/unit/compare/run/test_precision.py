"""All runs of a comparison have one precision and are compiled or not, where auto chooses it."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run import command, machine
from lightning_transformer.compare.run.machine import all_or_none_compiled, of_one_precision
from lightning_transformer.compare.run.variants import Variant, changed, read_variants

BOTH = "model.d_model=64,128"


def variants(*typed: str) -> list[Variant]:
    return read_variants(command.read([*typed, "seeds=2", "lr=fixed"]))


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "visible_gpus", list)


def test_widths_on_both_sides_of_the_limit_are_compared_in_float32() -> None:
    asked = variants(BOTH)
    assert [v.bf16_pays for v in asked] == [False, True]
    found = of_one_precision(asked)
    assert [v.overrides[-1] for v in found] == ["trainer.precision=32-true"] * 2
    assert not {v.digest for v in found} & {v.digest for v in asked}
    assert of_one_precision(found) == found


@pytest.mark.parametrize(
    "typed",
    [
        ("model.d_model=96,128",),
        ("model.d_model=32,64",),
        (BOTH, "trainer.precision=bf16-mixed"),
        ("trainer.precision=32-true,bf16-mixed",),
    ],
)
def test_elsewhere_nothing_is_added(typed: tuple[str, ...]) -> None:
    asked = variants(*typed)
    assert of_one_precision(asked) == asked


def test_a_gpu_takes_bfloat16_at_every_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "visible_gpus", lambda: ["0"])
    asked = variants(BOTH)
    assert of_one_precision(asked) == asked
    on_cpu = variants(BOTH, "trainer.accelerator=cpu")
    assert of_one_precision(on_cpu) != on_cpu


def test_a_width_that_match_has_solved_for_counts() -> None:
    asked = variants("activation=gelu,swiglu", "match=params", "match.key=model.d_model")
    assert [v.bf16_pays for v in asked] == [True, True]
    assert changed(asked[1], {"model.d_model": 92}).bf16_pays is False
    assert changed(asked[1], {"model.d_model": 100}).bf16_pays is True
    assert changed(asked[1], {"ffn.hidden_mult": 3.0}).bf16_pays is True


STEPS = "trainer.max_steps=40000"


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "missing_for_cpu", lambda: None)


def test_all_are_compiled_if_one_is_long_enough(compiler: None) -> None:
    asked = variants("model.d_model=32,128", STEPS)
    assert [v.is_long for v in asked] == [False, True]
    found = all_or_none_compiled(asked)
    assert [v.overrides[-1] for v in found] == ["trainer.compile=true"] * 2
    assert not {v.digest for v in found} & {v.digest for v in asked}
    assert all_or_none_compiled(found) == found


@pytest.mark.parametrize(
    "typed",
    [("model.d_model=32,64",), (BOTH, STEPS, "trainer.compile=false")],
)
def test_short_or_decided_ones_stay_as_they_are(compiler: None, typed: tuple[str, ...]) -> None:
    asked = variants(*typed)
    assert all_or_none_compiled(asked) == asked


def test_without_a_compiler_or_on_a_gpu_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = variants(BOTH, STEPS)
    monkeypatch.setattr(machine, "missing_for_cpu", lambda: "a C++ compiler")
    assert all_or_none_compiled(asked) == asked
    monkeypatch.setattr(machine, "missing_for_cpu", lambda: None)
    monkeypatch.setattr(machine, "visible_gpus", lambda: ["0"])
    assert all_or_none_compiled(asked) == asked


def test_what_match_solves_for_does_not_change_it(compiler: None) -> None:
    asked = variants("activation=gelu,swiglu", "match=flops")
    assert [v.overrides[-1] for v in all_or_none_compiled(asked)] == ["trainer.compile=false"] * 2
