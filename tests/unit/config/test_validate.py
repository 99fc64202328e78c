"""Checks of a composed configuration, each on the smallest configuration that shows it."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from lightning_transformer.config.validate import check, check_type, check_used, nearest, plain
from lightning_transformer.errors import ConfigError

RMSNORM = "lightning_transformer.nn.norm.rmsnorm.RMSNorm"
DENSE = "lightning_transformer.nn.ffn.dense.Dense"


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1, -3], [1.0, "1", True, None, "abc"]),
        ("float", [1, 1.5, -2], ["1.5", False, None]),
        ("bool", [True, False], [0, 1, "yes", None]),
        ("str", ["a", ""], [1, 1.5, True, None]),
        ("int | None", [1, None], [1.5, True, "null"]),
        ("float | None", [1, 1.5, None], ["x"]),
        ("int | str", [1, "auto"], [1.5, None, True]),
        ("'int'", [1], ["x"]),
        # What is no scalar, its target checks itself.
        ("Tokenizer", [1, "x", None], []),
        ("list[str]", [1, "x", None], []),
        ("", [1, "x", None], []),
    ],
)
def test_types_of_values(annotation, good, bad):
    for value in good:
        check_type(OmegaConf.create({"x": value}), "x", "a.x", annotation)
    for value in bad:
        shown = "null" if value is None else str(value)
        with pytest.raises(ConfigError) as caught:
            check_type(OmegaConf.create({"x": value}), "x", "a.x", annotation)
        assert str(caught.value).startswith(f"a.x={shown} must be ")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("int", "a whole number"),
        ("bool", "true or false"),
        ("float | None", "a number or null"),
        ("int | str", "a whole number or text"),
    ],
)
def test_the_wanted_type_is_named_in_words(annotation, words):
    with pytest.raises(ConfigError, match=f"must be {words}$"):
        check_type(OmegaConf.create({"x": [1]}), "x", "a.x", annotation)


@pytest.mark.parametrize(
    ("annotation", "value", "advice"),
    [
        ("float", 10**30, "write 1e+30"),
        ("float", 10**400, "for example 1"),
        ("int | None", -(2**63), "for example 1"),
    ],
)
def test_a_number_that_no_tensor_holds_is_refused(annotation, value, advice):
    with pytest.raises(ConfigError) as caught:
        check_type(OmegaConf.create({"x": value}), "x", "a.x", annotation)
    assert str(caught.value) == f"a.x={value} must be below 2**63; {advice}"
    check_type(OmegaConf.create({"x": 2**63 - 1}), "x", "a.x", annotation)


def test_keys_are_held_against_the_signature():
    check(OmegaConf.create({"norm": {"_target_": RMSNORM, "_partial_": True, "eps": 1}}), {})
    with pytest.raises(ConfigError) as caught:
        check(OmegaConf.create({"norm": {"_target_": RMSNORM, "epz": 1}}), {})
    assert str(caught.value) == (
        "unknown key norm.epz; did you mean eps? (RMSNorm takes dim, eps, unit_offset)"
    )
    with pytest.raises(ConfigError, match=r"^norm\._target_=lightning_transformer\.nope\.X: "):
        check(OmegaConf.create({"norm": {"_target_": "lightning_transformer.nope.X"}}), {})


def test_nodes_in_lists_and_below_nodes_are_checked():
    bad = {"_target_": RMSNORM, "eps": "abc"}
    with pytest.raises(ConfigError, match=r"^a\.b\.1\.eps=abc must be a number$"):
        check(OmegaConf.create({"a": {"b": [{"_target_": RMSNORM}, bad]}}), {})


def test_a_reference_is_checked_under_its_own_name_only():
    cfg = OmegaConf.create(
        {
            "ffn": {"_target_": DENSE, "activation": "${act}"},
            "act": {"_target_": RMSNORM, "eps": ""},
        }
    )
    with pytest.raises(ConfigError, match=r"^act\.eps= must be a number$"):
        check(cfg, {})


@pytest.mark.parametrize("value", ["rmsnorm", 3, None, True])
def test_a_group_is_not_chosen_inside_another(value):
    cfg = OmegaConf.create({"norm": {"_target_": RMSNORM}, "model": {"norm": value}})
    with pytest.raises(ConfigError, match=f"model.norm={value} names no component: write norm="):
        check(cfg, {})
    check(OmegaConf.create({"norm": {"_target_": RMSNORM}, "model": {"norm": "${norm}"}}), {})
    check(OmegaConf.create({"norm": {"_target_": RMSNORM}, "model": {"norm": {"a": 1}}}), {})


def test_a_missing_value_names_its_key_and_how_to_give_it():
    with pytest.raises(ConfigError) as caught:
        check(OmegaConf.create({"data": {"path": "???"}}), {})
    assert str(caught.value) == (
        "data.path has no value yet: add data.path=... to the command line"
    )


def test_a_callback_names_its_class():
    with pytest.raises(ConfigError, match=r"^callbacks\.x names no class"):
        check(OmegaConf.create({"callbacks": {"x": {"n": 3}}}), {})
    check(OmegaConf.create({"callbacks": {}}), {})


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "a", True, None])
def test_seeds_are_whole_numbers_that_fit_64_bits(seed):
    with pytest.raises(ConfigError, match=r"^seed=.* must be a whole number from 0"):
        check(OmegaConf.create({"seed": seed}), {})


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_good_seeds(seed):
    check(OmegaConf.create({"seed": seed}), {})


def test_a_chosen_group_must_be_reached_from_the_roots():
    cfg = OmegaConf.create(
        {
            "model": {"block": "${block}"},
            "block": {"norm": "${norm}", "n": "${data.n}"},
            "norm": {},
            "pooling": {},
            "data": {"tokenizer": "${tokenizer}", "n": 1},
            "tokenizer": {},
            "orphan": {"pooling": "${pooling}"},
        }
    )
    check_used(cfg, {"model": "a", "block": "b", "norm": "c", "data": "d", "tokenizer": "e"})
    for group in ("pooling", "orphan"):
        with pytest.raises(ConfigError, match=f"^{group}=x has no effect here"):
            check_used(cfg, {"norm": "c", group: "x"})


def test_plain_resolves_and_leaves_out_how_a_run_is_done():
    content = {"seed": 1, "a": {"b": "${seed}"}, "c": [{"d": "${a.b}"}]}
    how = {"hydra": {"x": "${nowhere}"}, "sweep": "name", "resume": None}
    assert plain(OmegaConf.create(content | how)) == {"seed": 1, "a": {"b": 1}, "c": [{"d": 1}]}
    with pytest.raises(ConfigError) as caught:
        plain(OmegaConf.create({"a": "${nowhere}"}))
    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nearest():
    assert nearest("rmsnrom", ["layernorm", "rmsnorm"]) == "; did you mean rmsnorm?"
    assert nearest("xyz", ["layernorm", "rmsnorm"]) == ""
