"""Every option, preset, experiment and debug setting on disk composes, passes, and trains.

All cases are made from the files below conf/: a new one is tested without editing a list.
"""

from __future__ import annotations

import json
import math

import pytest
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, build_model
from lightning_transformer.config.compose import chosen_groups, preflight, register
from lightning_transformer.config.validate import check, check_used, plain
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.paths import CONF
from lightning_transformer.runs.result import read_history
from lightning_transformer.training.preflight.build import check_build
from tests.conftest import compose_config, options
from tests.helpers.short_runs import sentences, short, start

GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
ON_DISK = {group: options(group) for group in GROUPS}
ALONE = ("model", "task", "data", "tokenizer", "packing", "pooling", "preset")

# A base in which a group that the default run does not use is used.
USED_IN = {"pooling": ["model=encoder_only", "task=classification"]}
TASK_OF = {
    "seq2seq": "encoder_decoder",
    "causal_lm": "decoder_only",
    "multi_token": "decoder_only",
}

# Keys without a value of their own: what a user would give, made below from a small file.
PATHS = {
    "data.path": "text",
    "data.source": "source",
    "data.target": "target",
    "tokenizer.path": "tokenizer",
}
# Small data for the sources that a run can name; the tests of data look at the real ones.
FEWER = {
    "package": ["data.max_per_class=16"],
    "roles": ["data.max_files=60"],
    "order": ["data.n_train=40", "data.n_eval=10"],
}
FEW_STEPS = [
    "trainer.max_steps=2",
    "trainer.val_every=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "schedule.warmup_steps=1",
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
    """Small files of the user's, by the name that PATHS gives them."""
    folder = tmp_path_factory.mktemp("files")
    lines = sentences(1000, seed=3)
    made = {"text": "\n".join(lines), "source": "\n".join(lines), "target": "\n".join(lines[::-1])}
    for name, content in made.items():
        (folder / name).write_text(content + "\n", encoding="utf-8")
    ByteVocabulary().save(folder / "tokenizer")
    return folder


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_TRANSFORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def missing(cfg):
    """Overrides are needed for these keys."""
    nodes = [(str(key), cfg._get_node(key)) for key in cfg]
    groups = [(name, node) for name, node in nodes if isinstance(node, DictConfig)]
    return [f"{g}.{key}" for g, node in groups for key in node if OmegaConf.is_missing(node, key)]


def given(typed, files):
    """What is typed, with a small file for every key that has no value."""
    keys = missing(compose_config(*typed))
    return [*typed, *(f"{key}={files / PATHS[key]}" for key in keys)]


def columns():
    """Choices in which the i-th option of every group stands once, so that few cases have all."""
    groups = {g: ON_DISK[g] for g in ON_DISK if g not in (*ALONE, "debug", "experiment")}
    for i in range(max(map(len, groups.values()))):
        yield [f"{group}={names[i % len(names)]}" for group, names in groups.items()]


def alone():
    """Choices of what brings other groups along or needs them."""
    for group in ALONE:
        for option in ON_DISK[group]:
            model = [f"model={TASK_OF.get(option, 'encoder_only')}"] if group == "task" else []
            yield [*USED_IN.get(group, []), *model, f"{group}={option}"]


@pytest.mark.parametrize("typed", [*columns(), *alone()], ids=" ".join)
def test_every_option_composes_and_passes_every_check(typed, files):
    typed = given(typed, files)
    cfg = compose_config(*typed)
    unused = [f"{group}={option}" for group, option in idle(cfg, typed)]
    typed = [text for text in typed if text not in unused]
    cfg = compose_config(*typed)
    check(cfg, chosen_groups(typed, ON_DISK))
    json.dumps(plain(cfg), allow_nan=False)
    for group, option in (text.split("=", 1) for text in typed):
        target = group in GROUPS and OmegaConf.load(CONF / group / f"{option}.yaml").get("_target_")
        if target:
            assert cfg[group]._target_ == target


def test_a_group_that_nothing_uses_is_found_for_every_group(files):
    cfg = compose_config()
    unused = {group for group in GROUPS if group in cfg and not is_used(cfg, group)}
    assert unused == {"pooling"}
    cfg = compose_config("model=encoder_only", "task=classification")
    assert not [group for group in GROUPS if group in cfg and not is_used(cfg, group)]


def idle(cfg, typed):
    """Choices of parts that not every block or attention has, where these have none."""
    pairs = [tuple(text.split("=", 1)) for text in typed]
    parts = ("ffn", "activation", "kernel", "qk_norm")
    return [(g, option) for g, option in pairs if g in parts and not is_used(cfg, g)]


def is_used(cfg, group):
    try:
        check_used(cfg, {group: "x"})
    except ConfigError:
        return False
    return True


def test_preflight_accepts_a_sweep_over_whole_groups():
    sweep = {g: ON_DISK[g] for g in ("norm", "residual")}
    typed = [f"{group}={','.join(names)}" for group, names in sweep.items()]
    assert preflight(typed) == math.prod(map(len, sweep.values()))


TOGETHER = [("preset", name) for name in ON_DISK["preset"]]
TOGETHER += [("experiment", name) for name in ON_DISK["experiment"]]
TOGETHER += [("debug", name) for name in ON_DISK["debug"]]
SMALL = ["model.d_model=32", "data.seq_len=32"]


@pytest.mark.parametrize(("group", "option"), TOGETHER, ids=lambda text: text)
def test_presets_experiments_and_debug_settings_train(group, option, files, tmp_path):
    typed = given([f"{group}={option}"], files)
    cfg = compose_config(*typed)
    choice = cfg.data._target_.split(".")[-2]
    small = [*typed, *SMALL, *FEW_STEPS, *FEWER.get(choice, [])]
    if "n_heads" in cfg.attention:
        small.append("attention.n_heads=2")
    if group != "experiment":  # the data are the default ones, which other tests read
        path = {"pydocs": ["data=text", f"data.path={files / 'text'}"]}.get(choice)
        path = path or ["data=parallel", *(f"data.{n}={files / n}" for n in ("source", "target"))]
        small += path
    if group == "debug":
        small = [o for o in small if not o.startswith("callbacks")]
    check(compose_config(*small), chosen_groups(small, ON_DISK))
    result = start(tmp_path / "run", small)
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
    typed = [*short(tmp_path)[:5], f"data.path={files / 'text'}", "debug=fast", "trainer=cpu"]
    result = start(tmp_path / "run", typed)
    series = read_history(tmp_path / "run")
    assert [step for step, _ in series["train/loss"]] == [1, 2]
    assert [step for step, _ in series["val/loss"]] == [1, 2]
    assert "test/loss" in result.metrics
    assert (tmp_path / "run" / "samples.md").exists()


def test_debug_overfit_learns_one_step_by_heart(files, tmp_path):
    typed = [*short(tmp_path)[:5], f"data.path={files / 'text'}", "debug=overfit", "trainer=cpu"]
    result = start(tmp_path / "run", [*typed, "trainer.max_steps=80", "trainer.val_every=80"])
    # Validation is on the same rows; others stay unknown.
    assert result.metrics["val/loss"] < result.metrics["test/loss"] - 0.8
