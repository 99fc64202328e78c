"""One rank is disturbed, all decide alike: nobody waits for ever, weights are the same on all."""

from __future__ import annotations

import pytest

from tests.helpers.short_runs import short
from tests.unit.training.guard.poison import saved
from tests.unit.training.guard.two_ranks import on_two_ranks

pytestmark = pytest.mark.slow

WINDOW = ("guard.window=16", "guard.after=8", "guard.sigmas=20")
KINDS = ("ddp", "fsdp2")


def typed(folder, kind, *more):
    kept = [o for o in short(folder) if o != "trainer=cpu"]
    two = ["trainer.devices=2", "trainer.accelerator=cpu", "optimizer=adamw"]
    steps = ["trainer.max_steps=20", "trainer.val_every=5"]
    return [*kept, f"trainer={kind}", *two, *steps, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def left(folder):
    cases = {}
    for kind in KINDS:
        for what in ("loss", "gradient"):
            cases[f"{what}-{kind}-stop"] = typed(folder, kind, "trainer.val_every=11")
            cases[f"{what}-{kind}-skip"] = typed(folder, kind, "guard=skip", *WINDOW)
    rewind = ("guard=rewind", "guard.back=1", "guard.skip=1", *WINDOW)
    cases["loss-ddp-rewind"] = typed(folder, "ddp", *rewind)
    return on_two_ranks(folder, cases)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_all_stop_before_the_update(left, folder, kind, what):
    name = f"{what}-{kind}-stop"
    assert [rank["steps"] for rank in left[name]] == [12, 12]
    assert all(rank["finite"] for rank in left[name])
    for rank in left[name]:
        assert "step 12 was not done" in rank["said"]
        assert "first bad parameter embedding.weight," in rank["said"]
    if what == "loss":
        assert all("the loss is not finite: rank 1, loss nan" in r["said"] for r in left[name])
    else:
        assert all("because a gradient is not finite: rank" in r["said"] for r in left[name])
    assert saved(folder / name)["global_step"] == 11


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_all_skip(left, kind, what):
    wanted = {"said": "finished", "guard": {"skipped": 1, "rewound": 0}, "steps": 20}
    for rank in left[f"{what}-{kind}-skip"]:
        assert rank == {**wanted, "finite": True}


def test_all_rewind(left):
    # Step 12 is disturbed once; step 10 has the checkpoint.
    wanted = {"said": "finished", "guard": {"skipped": 0, "rewound": 1}, "steps": 12 + 10}
    for rank in left["loss-ddp-rewind"]:
        assert rank == {**wanted, "finite": True}
