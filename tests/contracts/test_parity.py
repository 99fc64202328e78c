"""One result on any strategy: two or four processes compute, in float64, what one does.

All runs are whole ones, from what is typed to result.json, through Lightning's trainer. Those on
two processes share one pair of them, because starting it takes most of the time.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import Tensor

from tests.contracts.parallel_cases import on_processes, run_exactly
from tests.helpers.short_runs import DROPOUT, checkpoint, history, short, short_pairs, weights

EXACT = 1e-10  # differences that rounding alone leaves are below 1e-14 for weights
CLIP = 0.02  # less than any gradient of these runs
FLOAT64 = ("trainer.precision=64-true", "optimizer=adamw", f"trainer.clip={CLIP}")
PARALLEL = {
    "ddp": ["trainer=ddp"],
    "fsdp2": ["trainer=fsdp2"],
    "tp": ["trainer=tp"],
}
OTHERS = ("pairs", "mlm", "grouped", "muon")
SAME_RATE = ("schedule=constant", "schedule.warmup_steps=2")
# Three steps on one process, three on two, three on one.
RESHARDED: dict[str, list[str]] = {
    "on-ddp": [],
    "on-fsdp2": [],
    "on-tp": [],
    "on-fsdp2-shards": ["trainer.strategy.sharded_checkpoints=true"],
    "on-tp-shards": ["trainer.strategy.sharded_checkpoints=true"],
}
ON_FOUR = ("lm", "muon", "sphere")
FOUR = ["trainer=fsdp2_tp", "trainer.accelerator=cpu", "trainer.precision=64-true"]
BF16 = "trainer.precision=bf16-mixed"
HALVED = ("bf16", *(f"bf16-{strategy}" for strategy in PARALLEL))
# bfloat16 has 8 binary digits; what is left of its errors in a sum of thousands, such as a norm, is
# a tenth of the last one. Ranks add up in another order, which is less: measured 5e-5 at most.
BF16_NORMS = 2.0**-12
TWO = ["trainer.devices=2", "trainer.accelerator=cpu", "trainer.precision=64-true"]


def models(folder: Path) -> dict[str, list[str]]:
    """What is typed for one process. Targets per rank are unequal in `mlm` and `pairs`."""
    return {
        # Tied embeddings, rotations, a norm of queries and keys, a gated activation; dy-tanh.
        "lm": short(folder, *FLOAT64, "norm=dyt", "block=parallel", "data.eval_batch_size=7"),
        # Padded pairs, cross-attention, generated answers.
        "pairs": short_pairs(folder, *FLOAT64, "data.eval_batch_size=3", "task.n_generated=5"),
        "mlm": short(folder, *FLOAT64, "model=encoder_only", "data.eval_batch_size=7"),
        # Fewer key/value heads, a bias that differs between heads, biases, an untied head.
        "grouped": short(
            folder,
            *FLOAT64,
            "attention=gqa",
            "attention.n_heads=4",
            "attention.n_kv_heads=2",
            "attention.bias=true",
            "ffn.bias=true",
            "position=alibi",
            "tie_embeddings=false",
            "pattern=sliding_window",
        ),
        "muon": short(folder, *FLOAT64, "optimizer=muon"),
        # Weights that are brought back to length 1 after each step.
        "sphere": short(folder, *FLOAT64, "preset=ngpt", "ffn=dense"),
    }


def on_two(typed: list[str], strategy: str, *more: str) -> list[str]:
    return [o for o in typed if o != "trainer=cpu"] + PARALLEL[strategy] + TWO + list(more)


def exact(run: Path, rank: int = 0) -> dict[str, list[float]]:
    return json.loads((run / f"exact-{rank}.json").read_text(encoding="utf-8"))


def losses(run: Path) -> list[float]:
    return [float(row["train/loss"]) for row in history(run) if row["train/loss"]]


def distance(run: Path, one: Path) -> float:
    """The length of the difference between all weights of two runs, over the length of these."""
    here, there = weights(run), weights(one)
    apart = sum(float((here[k].double() - there[k].double()).square().sum()) for k in there)
    return math.sqrt(apart / sum(float(w.double().square().sum()) for w in there.values()))


def assert_same(run: Path, one: Path) -> None:
    """Weights, training losses, gradient norms and metrics of validation and test, all finite."""
    here, there = weights(run), weights(one)
    assert list(here) == list(there)
    for name, value in here.items():
        assert isinstance(value, Tensor)
        assert float((value - there[name]).abs().max()) < EXACT, name
    for kind, values in exact(one).items():
        assert exact(run)[kind] == pytest.approx(values, rel=EXACT, abs=EXACT), kind
    assert losses(run) == pytest.approx(losses(one), rel=EXACT)


def computed(folder: Path, chosen: tuple[str, ...], more: dict[str, list[str]]) -> dict[str, Path]:
    """The chosen models on one process, and on two with every strategy; and more on two."""
    typed = models(folder)
    places = {}
    for name in chosen:
        run_exactly(folder / name, typed[name])
        places[name] = folder / name
    cases = {f"{m}-{s}": on_two(typed[m], s) for m in chosen for s in PARALLEL} | more
    together = folder / "two"
    together.mkdir(exist_ok=True)
    on_processes(together, cases)
    return places | {name: together / name for name in cases}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs of the default decoder."""
    return computed(tmp_path_factory.mktemp("few"), ("lm",), {})


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs of the other models, with dropout, and in bfloat16."""
    folder = tmp_path_factory.mktemp("many")
    lm = models(folder)["lm"]
    cases = {"dropout": on_two(lm, "tp", *DROPOUT)}
    halved = [BF16 if o.startswith("trainer.precision=") else o for o in lm]
    run_exactly(folder / "bf16", halved)
    cases |= {f"bf16-{strategy}": on_two(halved, strategy, BF16) for strategy in PARALLEL}
    return computed(folder, ("lm", *OTHERS), cases) | {"bf16": folder / "bf16"}


@pytest.fixture(scope="module")
def accumulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs in several micro-batches, with blocks that are computed again, or compiled."""
    folder = tmp_path_factory.mktemp("accumulated")
    lm = models(folder)["lm"]
    cases = {
        f"lm-{strategy}-x{n}": on_two(lm, strategy, f"trainer.accumulate={n}")
        for strategy in PARALLEL
        for n in (2, 4)
    }
    for strategy in PARALLEL:
        cases[f"lm-{strategy}-again"] = on_two(
            lm, strategy, "trainer.activation_checkpointing=true"
        )
    cases["compiled"] = on_two(lm, "ddp", "trainer.compile=true")
    return computed(folder, ("lm",), cases)


def resharded(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Runs that change the number of processes midway, and one that does not."""
    lm = models(folder)["lm"]
    run_exactly(folder / "start", [*lm, "trainer.max_steps=3", *SAME_RATE])
    together = folder / "two"
    cases = {}
    for name in names:
        shutil.copytree(folder / "start", together / name)
        cases[name] = on_two(lm, name.split("-")[1], *RESHARDED[name], *SAME_RATE)
    on_processes(together, cases)
    found = {name: together / name for name in names} | {"straight": folder / "straight"}
    for place in found.values():
        run_exactly(place, [*lm, "trainer.max_steps=9", *SAME_RATE])
    return found


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs on four processes, in shards over two and cut by heads over two, and on one."""
    folder = tmp_path_factory.mktemp("four")
    typed = {name: models(folder)[name] for name in ON_FOUR}
    cases = {name: [o for o in typed[name] if o != "trainer=cpu"] + FOUR for name in ON_FOUR}
    cases["lm-x2"] = [*cases["lm"], "trainer.accumulate=2"]
    cases["lm-shards"] = [*cases["lm"], "trainer.strategy.sharded_checkpoints=true"]
    together = folder / "four"
    together.mkdir()
    on_processes(together, cases, n=4)
    for name in ON_FOUR:
        run_exactly(folder / name, typed[name])
    return {name: folder / name for name in ON_FOUR} | {f"{n}-four": together / n for n in cases}


@pytest.mark.parametrize("strategy", PARALLEL)
def test_two_processes_are_as_one(few: dict[str, Path], strategy: str) -> None:
    assert_same(few[f"lm-{strategy}"], few["lm"])


def test_clipping_binds_and_all_ranks_see_one_norm(few: dict[str, Path]) -> None:
    assert min(exact(few["lm"])["norms"]) > CLIP
    for strategy in PARALLEL:
        run = few[f"lm-{strategy}"]
        assert exact(run, 0)["norms"] == exact(run, 1)["norms"]


def test_the_comparison_would_see_another_norm(few: dict[str, Path], tmp_path: Path) -> None:
    typed = models(tmp_path)["lm"]
    run_exactly(tmp_path / "other", [*typed, f"trainer.clip={CLIP * (1 + 1e-6)}"])
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "other", few["lm"])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", PARALLEL)
@pytest.mark.parametrize("model", OTHERS)
def test_two_processes_are_as_one_for(many: dict[str, Path], model: str, strategy: str) -> None:
    assert_same(many[f"{model}-{strategy}"], many[model])


@pytest.mark.thorough
@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("strategy", PARALLEL)
def test_accumulated_on_two_processes_is_as_at_once_on_one(
    accumulated: dict[str, Path], strategy: str, n: int
) -> None:
    assert_same(accumulated[f"lm-{strategy}-x{n}"], accumulated["lm"])


@pytest.mark.thorough
@pytest.mark.parametrize("strategy", PARALLEL)
def test_computing_blocks_again_changes_nothing(
    accumulated: dict[str, Path], strategy: str
) -> None:
    assert_same(accumulated[f"lm-{strategy}-again"], accumulated["lm"])


@pytest.mark.slow
def test_dropout_agrees_on_ranks_that_share_layers(many: dict[str, Path]) -> None:
    # What is whole on both ranks would get different gradients, and the norms would differ.
    assert exact(many["dropout"], 0)["norms"] == exact(many["dropout"], 1)["norms"]
    assert exact(many["dropout"])["norms"] != pytest.approx(exact(many["lm"])["norms"], rel=1e-3)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("on-fsdp2-shards", "on-tp"), marks=pytest.mark.slow, id="two"),
        pytest.param(tuple(RESHARDED), marks=pytest.mark.thorough, id="all"),
    ],
)
def test_from_one_process_to_two_and_back_is_as_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = resharded(tmp_path, names)
    straight = found.pop("straight")
    there, wanted = weights(straight), checkpoint(straight)["optimizer_states"][0]
    for name, run in found.items():
        here, optimizer = weights(run), checkpoint(run)["optimizer_states"][0]
        assert max(float((here[key] - there[key]).abs().max()) for key in there) < EXACT, name
        assert optimizer["param_groups"] == wanted["param_groups"], name
        for number, state in wanted["state"].items():
            for key, value in state.items():
                apart = float((optimizer["state"][number][key] - value).abs().max())
                assert apart < EXACT, (name, key)
        assert losses(run) == pytest.approx(losses(straight), rel=EXACT), name


@pytest.mark.slow
@pytest.mark.parametrize("case", [*ON_FOUR, "lm-x2", "lm-shards"])
def test_four_processes_in_two_dimensions_are_as_one(four: dict[str, Path], case: str) -> None:
    run = four[f"{case}-four"]
    assert_same(run, four[case.split("-")[0]])
    assert all(exact(run, 0)["norms"] == exact(run, rank)["norms"] for rank in (1, 2, 3))


@pytest.mark.thorough
def test_compiled_blocks_on_two_processes_are_as_one_uncompiled(
    accumulated: dict[str, Path],
) -> None:
    assert_same(accumulated["compiled"], accumulated["lm"])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", PARALLEL)
def test_two_processes_are_as_one_in_bfloat16(many: dict[str, Path], strategy: str) -> None:
    run, one = many[f"bf16-{strategy}"], many["bf16"]
    assert losses(run) == pytest.approx(losses(one), rel=1e-6)
    assert exact(run)["metrics"] == pytest.approx(exact(one)["metrics"], rel=1e-6)
    assert exact(run)["norms"] == pytest.approx(exact(one)["norms"], rel=BF16_NORMS)
    assert distance(run, one) < BF16_NORMS


@pytest.mark.slow
def test_the_tolerance_of_bfloat16_is_less_than_what_it_changes(many: dict[str, Path]) -> None:
    assert exact(many["bf16"])["norms"] != pytest.approx(exact(many["lm"])["norms"], rel=BF16_NORMS)
    assert {json.loads((many[n] / "result.json").read_text())["precision"] for n in HALVED} == {
        "bf16-mixed"
    }
