"""The digest of the samples of a run, held against what was really taken from the data."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.loading.sample_digest import samples_sha256
from lightning_transformer.data.loading.skipped_steps import LeftOut
from lightning_transformer.data.loading.train_loader import StepLoader
from lightning_transformer.data.packing.rows import Rows
from lightning_transformer.data.split import ExampleList
from lightning_transformer.runs.result import RunResult
from tests.helpers.short_runs import At, crash, interrupt, short_run
from tests.unit.training.guard.poison import Poison, nan_loss

N = 21  # examples; a step of 4 crosses from one epoch into the next


class Noted(ExampleList):
    """Writes down the numbers of the examples that are taken; of many lengths, so bucketed."""

    def __init__(self) -> None:
        super().__init__([Tokens(np.arange(2 + 7 * i % 11)) for i in range(N)], 100)
        self.taken: list[int] = []

    def get(self, index: int, epoch: int) -> Any:
        self.taken.append(index)
        return super().get(index, epoch)


class Batch(NamedTuple):
    n_targets: Tensor
    step_targets: Tensor | None = None


def collate(examples: Any, seeds: Any) -> Batch:
    return Batch(torch.tensor(len(examples)))


def loader(split: Noted, **options: Any) -> StepLoader:
    return StepLoader(split, collate, **{"seed": 7, "batch_size": 4, **options})


def by_hand(ids: list[int], data: str = "abc", n: int = N) -> str:
    return hashlib.sha256(f"{data} {n}\n".encode() + np.array(ids, "<i8").tobytes()).hexdigest()


def run_through(source: StepLoader, n_steps: int) -> str:
    for _, _ in zip(range(n_steps * source.accumulate), source, strict=False):
        pass
    return samples_sha256(source, n_steps, "abc")


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_it_is_that_of_what_was_taken(accumulate: int) -> None:
    split = Noted()
    assert run_through(loader(split, accumulate=accumulate), 12) == by_hand(split.taken[: 12 * 4])
    assert len(set(split.taken[:N])) == N


def test_it_is_that_of_all_ranks_on_each() -> None:
    splits = [Noted(), Noted()]
    digests = [
        run_through(loader(split, rank=rank, world_size=2), 12) for rank, split in enumerate(splits)
    ]
    halves = [np.array(split.taken[: 12 * 2]).reshape(12, 2) for split in splits]
    assert digests == [by_hand(np.concatenate(halves, axis=1).ravel().tolist())] * 2


def test_what_is_passed_over_does_not_count() -> None:
    split, left_out = Noted(), LeftOut()
    left_out.leave_out(3, 2)
    digest = run_through(loader(split, left_out=left_out), 9)
    assert digest == by_hand(split.taken[: 9 * 4])
    assert digest != samples_sha256(loader(Noted()), 9, "abc")


def test_everything_counts() -> None:
    base = samples_sha256(loader(Noted()), 5, "abc")
    assert base == samples_sha256(loader(Noted()), 5, "abc")
    others = [
        samples_sha256(loader(Noted()), 6, "abc"),
        samples_sha256(loader(Noted()), 5, "abd"),
        samples_sha256(loader(Noted(), seed=8), 5, "abc"),
        samples_sha256(loader(Noted()), 0, "abc"),
    ]
    assert len({base, *others}) == 5


LOOKED_AT = (
    16  # examples, before the first step, whether they have a target; and all what is frequent
)


# -- of whole runs ---------------------------------------------------------------------------------


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(number, examples in the split) of each row that training takes."""
    found: list[tuple[int, int]] = []
    get = Rows.get

    def noted(rows: Rows, index: int, epoch: int) -> Tokens:
        if rows.training:
            found.append((index, len(rows)))
        return get(rows, index, epoch)

    monkeypatch.setattr(Rows, "get", noted)
    return found


def of(result: RunResult, taken: list[tuple[int, int]]) -> str:
    return by_hand([index for index, _ in taken], result.data["sha256"], taken[0][1])


def test_a_result_says_what_its_run_has_seen(tmp_path, monkeypatch, taken) -> None:
    result = short_run(tmp_path / "run", "trainer.accumulate=2", "guard=skip")
    del taken[: LOOKED_AT + taken[0][1]]
    assert len(taken) == 6 * 8
    assert result.samples_sha256 == of(result, taken)
    At(monkeypatch, 4, interrupt)
    taken.clear()
    stopped = short_run(tmp_path / "stopped")
    del taken[: LOOKED_AT + taken[0][1]]
    assert (stopped.steps, len(taken)) == (4, 4 * 8)
    assert stopped.samples_sha256 == of(stopped, taken)


def test_a_resumed_run_has_seen_what_an_undisturbed_one_has(tmp_path, monkeypatch, taken) -> None:
    wanted = short_run(tmp_path / "wanted").samples_sha256
    with monkeypatch.context() as patch:
        At(patch, 5, crash)
        with pytest.raises(RuntimeError, match="the machine broke"):
            short_run(tmp_path / "run")
    assert short_run(tmp_path / "run", resume=True).samples_sha256 == wanted
    # Also where no step is left to do.
    assert short_run(tmp_path / "run", resume=True).samples_sha256 == wanted


def test_a_rewound_run_has_not_seen_what_it_left_out(tmp_path, monkeypatch, taken) -> None:
    Poison(monkeypatch, [18], nan_loss)
    guard = ("guard=rewind", "guard.window=16", "guard.after=8", "guard.back=4", "guard.skip=2")
    result = short_run(tmp_path / "run", *guard, "trainer.max_steps=24", "trainer.val_every=5")
    assert (result.steps, result.guard["rewound"]) == (24, 1)
    del taken[: LOOKED_AT + taken[0][1]]
    del taken[10 * 8 : 18 * 8]  # it went back from step 18 to 10
    assert len(taken) == 24 * 8
    assert result.samples_sha256 == of(result, taken)
