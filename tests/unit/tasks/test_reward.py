"""task=reward: what a training step makes of a batch of problems."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.data.examples import Pair
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.tasks.policies.base import k3
from lightning_transformer.tasks.rollouts import PATIENCE
from tests.conftest import options, tiny
from tests.unit.models.test_base import in_training

WORDS = ByteVocabulary()
ROWS = [
    Pair(WORDS.encode(question), WORDS.encode(answer))
    for question, answer in (("ab", "x"), ("b", "yz"), ("cab", "x"), ("da", "z"))
]
SHORT = ("model.n_layers=1", "task.n_answers=3", "task.max_new_tokens=4", "reward.target=2")


def trained(*overrides: str, accumulate: int = 1, step: int = 0) -> Any:
    model = tiny("task=reward", "reward=length", *SHORT, *overrides)
    return in_training(model, accumulate=accumulate, step=step).train()


def parts(model: Any, accumulate: int = 1) -> list[Any]:
    collate, size = model.task.collator("train"), len(ROWS) // accumulate
    return [collate(ROWS[i : i + size], [*range(i, i + size)]) for i in range(0, 4, size)]


def completed(model: Any) -> Any:
    return model.task.complete(model, parts(model)[0])


def test_rows_are_prompts_with_the_answers_that_were_drawn() -> None:
    model = trained()
    batch = completed(model)
    assert batch.input_ids.shape[0] == 12 == int(batch.n_targets) == int(batch.step_targets)
    row = 0
    for prompt, answers in zip(
        batch.problems.prompts, model.task._write(model, batch.problems), strict=True
    ):
        for ids, ended in zip(answers.ids, answers.ended, strict=True):
            assert batch.input_ids[row, : len(prompt) + len(ids)].tolist() == [*prompt, *ids]
            scored = batch.labels[row][batch.labels[row] != -100].tolist()
            assert scored == [*ids, *([WORDS.eos_id] if ended else [])]
            assert len(ids) <= 4
            row += 1
    assert batch.n_tokens == sum(map(len, batch.problems.prompts)) * 3 + int(
        (batch.labels != -100).sum()
    ) - sum(end for a in model.task._write(model, batch.problems) for end in a.ended)
    assert model.training  # as before


def test_answers_follow_from_seeds_alone() -> None:
    first, again = completed(trained()), completed(trained())
    assert torch.equal(first.input_ids, again.input_ids)
    model = trained()
    torch.manual_seed(99)
    assert torch.equal(completed(model).input_ids, first.input_ids)
    other = model.task.complete(model, model.task.collator("train")(ROWS, [7, 8, 9, 10]))
    same = first.labels.shape == other.labels.shape
    assert not (same and torch.equal(other.labels, first.labels))


@pytest.mark.parametrize("policy", options("policy"))
def test_the_gradient_does_not_depend_on_the_cut_into_micro_batches(policy: str) -> None:
    """Answers are drawn by problem, so that they are the same ones; to 1e-10 in float64."""

    def gradients(accumulate: int) -> list[Tensor]:
        model = trained(f"policy={policy}", "task.kl_coef=0.1", accumulate=accumulate)
        model.task.reference.begin(model)
        with torch.no_grad():  # so that the distance from the start counts
            for p in model.parameters():
                p.add_(torch.full_like(p, 1e-3))
        for micro, batch in enumerate(parts(model, accumulate)):
            (model.training_step(batch, micro) / accumulate).backward()
        assert model.n_tokens_read > 0
        return [p.grad for p in model.parameters()]

    whole, cut = gradients(1), gradients(4)
    assert any(bool(grad.any()) for grad in whole)
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_two_ranks_have_the_gradient_of_one_process() -> None:
    """Each with its half of the problems, gradients averaged as DDP does; to 1e-10 in float64."""

    def gradient(rank: int, world_size: int) -> list[Tensor]:
        model = trained("task.kl_coef=0.1")
        model.trainer.global_rank, model.trainer.world_size = rank, world_size
        model.trainer.strategy = SimpleNamespace(
            reduce=lambda value, reduce_op: value * world_size  # both have as many answers
        )
        model.training_step(parts(model, world_size)[rank], 0).backward()
        return [p.grad for p in model.parameters()]

    whole, first, second = gradient(0, 1), gradient(0, 2), gradient(1, 2)
    for a, b, c in zip(whole, first, second, strict=True):
        torch.testing.assert_close(a, (b + c) / 2, rtol=0, atol=1e-10)


def test_the_objective_by_hand() -> None:
    """GRPO and k3 from the scores of the whole row, in a loop."""
    model = trained("task.kl_coef=0.5", "task.temperature=0.7").eval()
    model.task.reference.begin(model)
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.05)
    batch = completed(model)
    found = model.task(model.features(batch), batch)

    def log_probs() -> list[Tensor]:
        scores = model.task.head(model.features(batch)).div(0.7).log_softmax(-1)
        return [
            torch.stack([scores[i, t, y] for t, y in enumerate(row.tolist()) if y != -100])
            for i, row in enumerate(batch.labels)
        ]

    now = log_probs()
    with torch.no_grad():
        for p, value in zip(model.parameters(), start, strict=True):
            p.copy_(value)
        before = log_probs()
    rewards = batch.rollout.rewards.view(4, 3)
    gain = (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
    wanted = sum(
        -a + 0.5 * k3(n, b).mean() for a, n, b in zip(gain.flatten(), now, before, strict=True)
    )
    assert float(found.objective.detach()) == pytest.approx(float(wanted.detach()), rel=1e-9)
    assert float(found.nll) == pytest.approx(-float(rewards.sum()))


def test_at_the_start_the_distance_is_zero_and_is_measured() -> None:
    model = trained()
    model.training_step(parts(model)[0], 0)
    values = model.task.statistics(model)
    assert values["train/kl"] == pytest.approx(0, abs=1e-12)
    assert values["train/entropy"] > 1
    assert 1 <= values["train/answer_length"] <= 5
    assert 0 <= values["train/share_differing"] <= 1
    assert values["train/reward"] == pytest.approx(-model.train_loss.take()[0] / 12)
    assert model.task.statistics(model) == {}
    assert model.task.tokens_generated(model) > 0
    without = trained("task.kl_coef=0.0")
    without.training_step(parts(without)[0], 0)
    assert "train/kl" not in without.task.statistics(without)
    assert without.task.training_state(without)["reference"] is None


def test_the_reference_is_what_is_trained_alone() -> None:
    model = trained()
    for name, p in model.named_parameters():
        p.requires_grad_("norm" in name)
    completed(model)
    kept = {n for n in model.task.reference.state() if n in dict(model.named_parameters())}
    assert kept == {n for n, p in model.named_parameters() if p.requires_grad}


def test_answers_that_serve_several_updates_go_through_a_checkpoint() -> None:
    model = trained("policy=ppo_clip", "policy.n_updates=3")
    assert model.task.n_updates == 3
    first = completed(model)
    assert first.rollout.then is None
    model.task(model.features(first), first)
    n_generated = model.task.tokens_generated(model)
    state = model.task.training_state(model)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.1)
    second = completed(model)
    other = trained("policy=ppo_clip", "policy.n_updates=3")
    other.load_state_dict(model.state_dict())
    other.task.load_training_state(other, state)
    resumed = completed(other)
    assert other.task.tokens_generated(other) == n_generated == model.task.tokens_generated(model)
    for batch in (second, resumed):
        assert torch.equal(batch.input_ids, first.input_ids)
        assert torch.equal(batch.rollout.advantages, first.rollout.advantages)
    with torch.no_grad():
        once = [p / 1.1 for p in model.parameters()]
        for p, value in zip(other.parameters(), once, strict=True):
            p.copy_(value)
        scores = other.task.head(other.features(first)).log_softmax(-1)
    scored = first.labels != -100
    picked = scores.gather(-1, first.labels.clamp(min=0)[..., None])[..., 0][scored]
    torch.testing.assert_close(second.rollout.then[scored], picked, rtol=1e-9, atol=1e-12)
    assert torch.equal(second.rollout.then, resumed.rollout.then)
    assert torch.equal(second.rollout.reference, resumed.rollout.reference)


def test_metrics_of_greedy_answers_and_of_the_true_ones() -> None:
    model = trained("task.n_generated=3").eval()
    batch = model.task.collator("val")(ROWS, [0, 1, 2, 3])
    metrics = nn.ModuleDict(model.task.metrics())
    features = model.features(batch)
    with torch.no_grad():
        model.task.update(metrics, features, batch)
        for part, rows in itertools.pairwise((0, 2, 4)):
            some = model.task.collator("val")(ROWS[part:rows], [0, 1])
            model.task.generate_metrics(model, some, metrics)
    found = {k: float(v) for k, v in model.task.compute(metrics).items()}
    samples = model.task.demonstrate(model, ROWS)
    rewards = [max(0.0, 1 - abs(len(s.output) - 2) / 2) for s in samples]
    assert [float(s.reward) for s in samples] == rewards
    assert found["reward"] == pytest.approx(sum(rewards[:3]) / 3)
    scores = model.task.head(features).log_softmax(-1)
    chances = [
        float(sum(scores[i, t, y] for t, y in enumerate(row.tolist()) if y != -100).exp())
        for i, row in enumerate(batch.labels)
    ]
    assert found["p_answer"] == pytest.approx(sum(chances) / 4, rel=1e-9)
    assert sorted(found) == sorted(model.task.metric_names())


def test_equal_rewards_end_the_run() -> None:
    for overrides in (["reward=exact"], ["reward=exact", "policy=reinforce"]):
        typed = [text for text in SHORT if not text.startswith("reward.")]
        model = in_training(tiny("task=reward", *typed, *overrides), step=PATIENCE).train()
        with pytest.raises(ConfigError, match=r"in 50 steps .* there is nothing to learn"):
            completed(model)
    model = trained("policy=reinforce", step=PATIENCE)
    model.task.counts.differed = True
    completed(model)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("task.temperature=0.0",), r"task\.temperature=0\.0 must be a number of at least 0\.001"),
        (("task.n_answers=1",), r"task\.n_answers=1 leaves the policy no answer to compare"),
        (("task.n_answers=0",), r"task\.n_answers=0 must be at least 1"),
        (("task.max_new_tokens=17",), r"task\.max_new_tokens=17 must be at most 16"),
        (("task.kl_coef=-1.0",), r"task\.kl_coef=-1\.0 must be"),
    ],
)
def test_options_that_cannot_work(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tiny("task=reward", *overrides)


def test_one_answer_is_enough_where_none_are_compared() -> None:
    model = trained("policy=reinforce", "task.n_answers=1")
    assert completed(model).rollout.rewards.shape == (4,)
