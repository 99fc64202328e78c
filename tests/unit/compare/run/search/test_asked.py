"""What is typed after `lr=` and `tune=`, and what is refused of it."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.run import command
from lightning_transformer.compare.run.search.asked import rates_of
from lightning_transformer.compare.run.variants import read_variants
from lightning_transformer.errors import ConfigError
from tests.unit.compare.run.test_request import TINY

NORMS = "norm=layernorm,rmsnorm"


@pytest.mark.parametrize(
    ("typed", "rates"),
    [
        ("sweep3", ()),
        ("fixed", ()),
        ("1e-4..1e-2", (1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2)),
        ("0.001..0.004:3", (0.001, 0.002, 0.004)),
        ("0.001,0.004,0.002", (0.001, 0.002, 0.004)),
    ],
)
def test_a_range_is_at_equal_ratios(typed, rates):
    assert rates_of(typed) == pytest.approx(rates)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("1e-2..1e-4", "lower rate first"),
        ("1e-4..1e-2:2", "2 points must be 3 to 50"),
        ("1e-4..", "must be sweep3 or fixed, a range"),
        ("0..1e-2", "0 is no rate above 0"),
        ("1e-4..x", "x is no rate above 0"),
        ("0.001", "one rate is optimizer.lr=.. with lr=fixed"),
        ("0.001,0.001", "given twice"),
        ("0.001,nan", "nan is no rate"),
        ("0.001..0.00101:50", "take fewer"),
    ],
)
def test_other_rates_are_refused_in_one_line(typed, message):
    with pytest.raises(ConfigError) as error:
        command.read([NORMS, f"lr={typed}"])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_tuned_keys_are_those_of_each_variant_and_in_no_override():
    typed = [NORMS, "tune=optimizer.weight_decay:0,0.1;schedule.warmup_steps:4,8", *TINY[:-1]]
    asked = command.read(typed)
    keys = {"optimizer.weight_decay": ("0", "0.1"), "schedule.warmup_steps": ("4", "8")}
    assert asked.tuned == keys
    assert asked.identity["tune"] == {key: list(texts) for key, texts in keys.items()}
    assert "tune" not in command.read([NORMS]).identity  # so that older ones continue
    for variant in read_variants(asked):
        assert variant.tuned == keys
        assert not any("weight_decay" in text for text in variant.overrides)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["tune=optimizer.weight_decay"], "must be a key and its values"),
        (["tune=optimizer.weight_decay=0,1"], "must be a key and its values"),
        (["tune=optimizer.weight_decay:0"], "write two or more values"),
        (["tune=optimizer.weight_decay:0,0"], "write two or more values"),
        (["tune=optimizer:adamw,muon"], "a group is compared or fixed"),
        (["tune=seed:1,2"], "the same for all; fix it"),
        (["tune=trainer.max_steps:10,20"], "the same for all; fix it"),
        (["tune=optimizer.wieght_decay:0,1"], "weight_decay"),
        (["tune=optimizer.weight_decay:0,x"], "optimizer.weight_decay"),
        (["tune=optimizer.weight_decay:0,1", "optimizer.weight_decay=1"], "is tuned and fixed"),
        (["tune=optimizer.weight_decay:0,1", "optimizer.weight_decay=1,2"], "tuned and compared"),
        (["tune=optimizer.lr:0.1,1"], "is tuned and chosen by lr=sweep3"),
        (["tune=ffn.hidden_mult:2,4", "match=params"], "may change what match=params makes equal"),
    ],
)
def test_other_keys_are_refused_in_one_line_before_anything_starts(typed, message):
    with pytest.raises(ConfigError) as error:
        read_variants(command.read([NORMS, *typed, *TINY[:-1]]))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
