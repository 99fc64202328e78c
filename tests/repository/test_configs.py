"""Every option, preset, experiment and debug setting on disk composes, passes, and trains.

All cases are made from the files below conf/: a new one is tested without editing a list.
"""

from __future__ import annotations

import json
import math
from functools import cache

import pytest
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, build_model
from lightning_transformer.config.compose import chosen_groups, preflight, register
from lightning_transformer.config.overrides import SEVERAL
from lightning_transformer.config.validate import check, check_used, plain
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.result import read_history
from lightning_transformer.training.preflight.build import check_build
from tests.conftest import compose_config, options
from tests.helpers.short_runs import short, start
from tests.helpers.variants import (
    GROUPS,
    built_class,
    chosen,
    content,
    model_of,
    required,
    sets_other_groups,
    small,
    source_of,
    used_with,
)

ON_DISK = {group: options(group) for group in GROUPS}


def used(cfg: DictConfig) -> set[str]:
    """The groups that a run of this configuration is built from."""
    return {group for group in GROUPS if group in cfg and is_used(cfg, group)}


@cache
def used_by_default() -> set[str]:
    return used(compose_config())


def is_used(cfg: DictConfig, group: str) -> bool:
    try:
        check_used(cfg, {group: "x"})
    except ConfigError:
        return False
    return True


FEW_STEPS = [
    "trainer.max_steps=2",
    "trainer.val_every=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.batch_size=4",
    "data.eval_batch_size=8",
    "callbacks=none",
    "logger=none",
    "trainer=cpu",
]


@pytest.fixture(autouse=True)
def plug_ins_found():
    register()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder in which options put the small files that they are built with."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def given(typed, files):
    """What is typed, with a small file for every key that has no value."""
    cfg = compose_config(*typed)
    lacking = [group for group in GROUPS if group in cfg and missing(cfg[group])]
    code = [f"{key}=tests.helpers.examples.detect" for key in without_code(cfg)]
    return [*typed, *code, *(text for g in lacking for text in small(g, chosen(cfg, g), files))]


def without_code(cfg):
    """Keys of several options' entries that are to name a function of the user."""
    for group in SEVERAL:
        for entry, node in cfg[group].items():
            for key, value in node.items():
                if OmegaConf.is_dict(value) and OmegaConf.is_missing(value, "_target_"):
                    yield f"{group}.{entry}.{key}._target_"


def missing(node):
    return [key for key in node if OmegaConf.is_missing(node, key)]


def is_alone(group):
    """Whether its options bring others along, need values, or are not used by the default run."""
    needs = any(required(group, name) for name in ON_DISK[group])
    return sets_other_groups(group) or needs or group not in used_by_default()


def columns():
    """Choices in which the i-th option of every group stands once, so that few cases have all."""
    groups = {g: ON_DISK[g] for g in ON_DISK if not is_alone(g)}
    for i in range(max(map(len, groups.values()))):
        yield [f"{group}={names[i % len(names)]}" for group, names in groups.items()]


def brought_by_a_task(group):
    """Whether a task that the default run does not have brings the group along."""
    return any(f"${{{group}}}" in content("task", task).values() for task in ON_DISK["task"])


def alone():
    """Choices of what brings other groups along or needs them."""
    by_default = compose_config()
    for group in filter(is_alone, GROUPS):
        unused = group in by_default and not is_used(by_default, group)
        absent = group not in by_default and brought_by_a_task(group)
        needs = used_with(group) if unused or absent else []
        for option in ON_DISK[group]:
            model = [f"model={model_of(option)}"] if group == "task" else []
            yield [*needs, *model, f"{group}={option}"]


@pytest.mark.parametrize("typed", [*columns(), *alone()], ids=" ".join)
def test_every_option_composes_and_passes_every_check(typed, files):
    typed = given(typed, files)
    cfg = compose_config(*typed)
    for text in typed:
        group = text.split("=", 1)[0]
        if group in cfg and not is_used(cfg, group):  # a part that not every block or attention has
            assert is_used(compose_config(text), group), f"{text} is without effect"
            typed = [other for other in typed if other != text]
    cfg = compose_config(*typed)
    check(cfg, chosen_groups(typed, ON_DISK))
    json.dumps(plain(cfg), allow_nan=False)
    for group, option in (text.split("=", 1) for text in typed):
        target = group in GROUPS and OmegaConf.load(CONF / group / f"{option}.yaml").get("_target_")
        if target:
            assert cfg[group]._target_ == target


def test_a_group_that_nothing_uses_is_found_for_every_group(files):
    cfg = compose_config()
    unused = {group for group in GROUPS if group in cfg} - used(cfg)
    assert unused == {"cleaning", "pooling"}
    for group in unused:
        cfg = compose_config(*given(used_with(group), files))
        assert {group for group in GROUPS if group in cfg} - used(cfg) == unused - {group}


def test_preflight_accepts_a_sweep_over_whole_groups():
    sweep = {g: ON_DISK[g] for g in ("norm", "residual")}
    typed = [f"{group}={','.join(names)}" for group, names in sweep.items()]
    assert preflight(typed) == math.prod(map(len, sweep.values()))


# That presets and experiments build is tested below, quickly.
TOGETHER = [
    pytest.param(group, name, marks=() if group == "debug" else pytest.mark.slow)
    for group in ("preset", "experiment", "debug")
    for name in ON_DISK[group]
]
SMALL = ["model.d_model=32", "data.seq_len=32"]


@pytest.mark.parametrize(("group", "option"), TOGETHER, ids=lambda text: text)
def test_presets_experiments_and_debug_settings_train(group, option, files, tmp_path):
    typed = given([f"{group}={option}"], files)
    cfg = compose_config(*typed)
    data = chosen(cfg, "data")
    typed += [*SMALL, *FEW_STEPS]
    if "n_heads" in cfg.attention:
        typed.append("attention.n_heads=2")
    if group != "experiment":  # the data are the default ones, which other tests read
        data = source_of(built_class("data", data).example)
        typed.append(f"data={data}")
    typed += [text for text in small("data", data, files) if text not in typed]
    if group == "debug":
        typed = [o for o in typed if not o.startswith("callbacks")]
    check(compose_config(*typed), chosen_groups(typed, ON_DISK))
    result = start(tmp_path / "run", typed)
    assert (result.status, result.steps) == ("finished", 2)
    assert all(math.isfinite(value) for value in result.metrics.values())
    assert "val/loss" in result.metrics


@pytest.mark.parametrize("option", ON_DISK["experiment"])
def test_experiments_fit_as_they_are(option, files):
    """Their own sizes, on the way that refuses what cannot work, without memory or data."""
    cfg = compose_config(*given([f"experiment={option}"], files))
    check_build(cfg, build(cfg, "data"), {})
    # They pin what they are about, so that another default does not change them.
    text = OmegaConf.load(CONF / "experiment" / f"{option}.yaml")
    pinned = {str(entry).split("/")[1].split("'")[0] for entry in text.defaults}
    assert pinned >= {"model", "task", "data", "tokenizer", "optimizer", "schedule"}
    assert text.seed == cfg.seed
    assert cfg.trainer.max_steps == text.trainer.max_steps


@pytest.mark.parametrize("option", ON_DISK["preset"])
def test_presets_hold_architecture_alone(option):
    before, after = compose_config(), compose_config(f"preset={option}")
    same = ("optimizer", "schedule", "trainer", "callbacks", "logger", "seed", "loss")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert any(after[key] != before[key] for key in ("norm", "activation", "position", "residual"))
    model = build_model(after, vocabulary=ByteVocabulary(), labels=["a"], seed=1)
    assert sum(p.numel() for p in model.parameters()) > 1e5


def test_debug_fast_does_every_part_once(files, tmp_path):
    typed = [*short(tmp_path)[:5], *small("data", "text", files), "debug=fast", "trainer=cpu"]
    result = start(tmp_path / "run", typed)
    series = read_history(tmp_path / "run")
    assert [step for step, _ in series["train/loss"]] == [1, 2]
    assert [step for step, _ in series["val/loss"]] == [1, 2]
    assert "test/loss" in result.metrics
    assert (tmp_path / "run" / "samples.md").exists()


def test_debug_overfit_learns_one_step_by_heart(files, tmp_path):
    typed = [*short(tmp_path)[:5], *small("data", "text", files), "debug=overfit", "trainer=cpu"]
    result = start(tmp_path / "run", [*typed, "trainer.max_steps=80", "trainer.val_every=80"])
    # Validation is on the same rows; others stay unknown.
    assert result.metrics["val/loss"] < result.metrics["test/loss"] - 0.8
