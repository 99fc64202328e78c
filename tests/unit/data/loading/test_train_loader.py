"""The loaders against a plain reference: order, ranks, micro-batches, resume, workers."""

from __future__ import annotations

import math
from typing import NamedTuple

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.loading.eval_loader import EvaluationLoader
from lightning_transformer.data.loading.permutation import visited
from lightning_transformer.data.loading.train_loader import StepLoader, example_seeds
from lightning_transformer.data.split import ExampleList


class Batch(NamedTuple):
    ids: Tensor
    seeds: Tensor
    n_targets: Tensor
    step_targets: Tensor | None = None


def collate(examples, seeds):
    """The first token of each example, which is its number; 'targets' are all tokens."""
    ids = torch.tensor([int(e.ids[0]) for e in examples])
    n_targets = torch.tensor(sum(len(e.ids) for e in examples))
    return Batch(ids, torch.tensor(list(seeds)), n_targets)


class Unbucketed(ExampleList):
    """Examples whose order is the plain shuffled one."""

    lengths = None

    def __init__(self, examples, n_tokens):
        self.examples, self.n_tokens = examples, n_tokens


def split_of(n: int) -> Unbucketed:
    """Example i has token i, repeated 1 + i % 3 times, so that sums of targets differ."""
    return Unbucketed([Tokens(np.full(1 + i % 3, i)) for i in range(n)], n_tokens=2 * n)


def loader(n: int = 10, **options) -> StepLoader:
    defaults = {"seed": 7, "batch_size": 4}
    return StepLoader(split_of(n), collate, **{**defaults, **options})


def take(source, n: int) -> list[Batch]:
    return [batch for batch, _ in zip(source, range(n), strict=False)]


def stream(n: int, length: int, seed: int = 7) -> list[int]:
    """The endless stream of shuffled epochs, written out."""
    epochs = -(-length // n)
    return [int(i) for e in range(epochs) for i in visited(np.arange(n), seed, e, n)][:length]


def test_the_loader_regroups_by_length_where_lengths_differ():
    examples = [Tokens(np.full(1 + (7 * i) % 50, i)) for i in range(400)]
    loader = StepLoader(ExampleList(examples, 0), collate, seed=7, batch_size=8)
    spread = [np.ptp([len(examples[i].ids) for i in loader.sample_ids(s)]) for s in range(50)]
    assert np.mean(spread) < 8  # shuffled: about 40
    assert sorted(np.concatenate([loader.sample_ids(s) for s in range(50)])) == list(range(400))


def test_steps_follow_the_stream_across_epochs():
    batches = take(loader(10), 10)
    assert torch.cat([b.ids for b in batches]).tolist() == stream(10, 40)


def test_each_epoch_holds_every_example_once():
    ids = torch.cat([b.ids for b in take(loader(10), 5)]).tolist()
    assert sorted(ids[:10]) == sorted(ids[10:]) == list(range(10))
    assert ids[:10] != ids[10:]


@pytest.mark.parametrize(("world_size", "accumulate"), [(1, 1), (1, 4), (2, 1), (2, 2), (4, 1)])
def test_samples_do_not_depend_on_ranks_and_micro_batches(world_size, accumulate):
    options = {"world_size": world_size, "accumulate": accumulate}
    ranks = [take(loader(rank=r, **options), 6 * accumulate) for r in range(world_size)]
    for step in range(6):
        mine = [batches[step * accumulate : (step + 1) * accumulate] for batches in ranks]
        ids = torch.cat([b.ids for batches in mine for b in batches]).tolist()
        seeds = torch.cat([b.seeds for batches in mine for b in batches]).tolist()
        assert ids == stream(10, 24)[step * 4 : step * 4 + 4]
        assert seeds == take(loader(), 6)[step].seeds.tolist()


def test_step_targets_are_the_sum_over_the_micro_batches_of_the_rank():
    options = {"batch_size": 8, "world_size": 2, "accumulate": 2}
    for rank in range(2):
        batches = take(loader(rank=rank, **options), 8)
        for step in range(4):
            parts = batches[2 * step : 2 * step + 2]
            mine = stream(10, 32)[step * 8 + rank * 4 : step * 8 + rank * 4 + 4]
            expected = sum(1 + i % 3 for i in mine)
            assert [int(b.step_targets) for b in parts] == [expected] * 2
            assert sum(int(b.n_targets) for b in parts) == expected
            assert parts[0].step_targets.dtype == torch.int64


def test_sample_ids_are_pure_and_those_of_all_ranks():
    full = loader(rank=1, world_size=2)
    late = full.sample_ids(7)
    assert full.sample_ids(0).tolist() + full.sample_ids(1).tolist() == stream(10, 8)
    assert full.sample_ids(7).tolist() == late.tolist() == stream(10, 32)[28:]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(num_workers):
    plain = take(loader(accumulate=2), 20)
    worked = take(loader(accumulate=2, num_workers=num_workers), 20)
    for a, b in zip(plain, worked, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("done", [1, 5, 8, 11])
def test_resume_hands_out_the_rest(done, num_workers):
    whole = [b.ids.tolist() for b in take(loader(accumulate=2), 24)]
    first = loader(accumulate=2, num_workers=num_workers)
    begun = iter(first)
    for _ in range(done):
        next(begun)
    state = first.state_dict()  # prefetched batches must not be counted
    second = loader(accumulate=2, num_workers=num_workers)
    second.load_state_dict(state)
    assert state["micro_batches"] == done
    assert [b.ids.tolist() for b in take(second, 24 - done)] == whole[done:]


def test_iteration_goes_on_where_it_stopped():
    whole = [b.ids.tolist() for b in take(loader(), 6)]
    same = loader()
    iterator = iter(same)
    first = [next(iterator).ids.tolist() for _ in range(2)]
    assert first + [b.ids.tolist() for b in take(same, 4)] == whole


def test_resume_with_other_micro_batches_continues_at_the_same_step():
    first = loader(accumulate=2)
    begun = iter(first)
    for _ in range(6):
        next(begun)
    second = loader(accumulate=4)
    second.load_state_dict(first.state_dict())
    ids = torch.cat([b.ids for b in take(second, 4)]).tolist()
    assert ids == stream(10, 16)[12:]
    next(begun)
    with pytest.raises(ValueError, match="cannot resume inside a step"):
        loader(accumulate=4).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"batch_size": 2}, {"bucket_steps": 8}, {"data_sha256": "b"}, {"n": 11}]
)
def test_resume_refuses_another_order(other):
    state = loader(data_sha256="a").state_dict()
    with pytest.raises(ValueError, match=f"{ {'n': 'n_examples'}.get(*other, *other) }=.* differs"):
        loader(**{"data_sha256": "a", **other}).load_state_dict(state)
    del state["data_sha256"]
    with pytest.raises(ValueError, match="earlier version"):
        loader().load_state_dict(state)


def test_random_integers_are_pure_and_differ():
    epochs, indices = np.divmod(np.arange(2000), 500)
    seeds = example_seeds(3, epochs, indices)
    assert len(set(seeds)) == 2000
    assert all(0 <= s < 2**63 for s in seeds)
    assert example_seeds(3, epochs[700:701], indices[700:701]) == [seeds[700]]
    assert not set(seeds) & set(example_seeds(4, epochs, indices))
    # uniform: the mean of 2000 is within 4 standard errors of one half
    assert abs(np.mean(seeds) / 2**63 - 0.5) < 4 / np.sqrt(12 * 2000)


def test_random_integer_by_hand():
    """splitmix64 in Python's own integers."""
    mask = 2**64 - 1

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    state = 5
    for value in (2, 11):
        state = mix((state + 0x9E3779B97F4A7C15) & mask) ^ value
    expected = mix((state + 0x9E3779B97F4A7C15) & mask) >> 1
    assert example_seeds(5, np.array([2]), np.array([11])) == [expected]


def test_indivisible_batch_names_the_nearest_sizes():
    message = r"data.batch_size=100 .*trainer.accumulate 8 x 2 ranks = 16; nearest 96, 112"
    with pytest.raises(ValueError, match=message):
        loader(200, batch_size=100, accumulate=8, world_size=2)
    with pytest.raises(ValueError, match=r"nearest 4$"):
        loader(batch_size=2, accumulate=4)


def test_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"batch_size=12 is larger .* use at most 10"):
        loader(10, batch_size=12)
    assert len(take(loader(10, batch_size=10), 3)) == 3


@pytest.mark.parametrize("world_size", [1, 2, 3, 30])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_visits_every_example_once_in_order(world_size, num_workers):
    found: list[int] = []
    for rank in range(world_size if not num_workers else min(world_size, 2)):
        evaluation = EvaluationLoader(
            split_of(21),
            collate,
            seed=7,
            batch_size=4,
            rank=rank,
            world_size=world_size,
            num_workers=num_workers,
        )
        batches = list(evaluation)
        counted = [b for b in batches if b.step_targets is not None]
        ids = [i for b in counted for i in b.ids.tolist()]
        assert ids == list(range(rank, 21, world_size))
        # Sharded models compute together: every rank has as many batches as the first.
        assert len(batches) == len(evaluation) == math.ceil(math.ceil(21 / world_size) / 4)
        assert all(int(b.step_targets) == int(b.n_targets) for b in counted)
        assert [b.seeds.tolist() for b in evaluation] == [b.seeds.tolist() for b in batches]
        found += ids
    if not num_workers:
        assert sorted(found) == list(range(21))


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize(("limit", "n"), [(1, 4), (2, 8), (5, 20), (6, 21), (100, 21)])
def test_a_limit_keeps_the_same_examples_on_any_number_of_ranks(world_size, limit, n):
    found, lengths = [], set()
    for rank in range(world_size):
        options = {"rank": rank, "world_size": world_size, "limit": limit}
        evaluation = EvaluationLoader(split_of(21), collate, seed=7, batch_size=4, **options)
        batches = list(evaluation)
        lengths.add(len(batches))
        found += [i for b in batches if b.step_targets is not None for i in b.ids.tolist()]
    assert sorted(found) == list(range(n))
    assert len(lengths) == 1  # ranks compute together
    assert lengths <= set(range(1, limit + 1))


def test_loading_leaves_the_global_random_state_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(EvaluationLoader(split_of(5), collate, seed=1, batch_size=2))
    take(loader(), 3)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)


class Recorder(L.LightningModule):
    """Records the examples that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.ids.tolist())
        return self.weight * batch.n_targets

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(path, max_steps, accumulate, checkpoint=None):
    model = Recorder()
    trainer = L.Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accumulate_grad_batches=accumulate,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        default_root_dir=path,
    )
    trainer.fit(model, loader(accumulate=accumulate), ckpt_path=checkpoint)
    trainer.save_checkpoint(path / "last.ckpt")
    return model.seen


@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning_resumes_exactly(tmp_path, accumulate):
    whole = fit(tmp_path, 9, accumulate)
    first = fit(tmp_path, 4, accumulate)
    rest = fit(tmp_path, 9, accumulate, tmp_path / "last.ckpt")
    assert len(whole) == 9 * accumulate
    assert first + rest == whole
