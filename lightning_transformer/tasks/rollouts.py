"""Answers that a model writes while it is trained: drawn, rewarded, kept, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_transformer.data.examples import Pair
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.decoding.sampling import Beams, Sampling
from lightning_transformer.errors import ConfigError
from lightning_transformer.tasks.base import IGNORE, Batch
from lightning_transformer.tasks.continuations import best_tokens
from lightning_transformer.tasks.instruct import PromptThenResponse
from lightning_transformer.tasks.reference import evaluating

PATIENCE = 50  # optimizer steps in which rewards must have differed


class ProblemRows(NamedTuple):
    """The problems of a micro-batch, as plain numbers.

    prompts: token ids of each, with what stands before; answers: ids of the right one; seeds: a
    number per problem and pass over the data, from which its answers are drawn.
    """

    prompts: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]


class Rollout(NamedTuple):
    """What is known of the R answers in a batch, on the device of the model.

    rewards, advantages (R,) float. then, reference (R, T) float: log-probabilities of their tokens,
    of the model that wrote them and of the reference; None = those of now, and no reference.
    """

    rewards: Tensor
    advantages: Tensor
    then: Tensor | None = None
    reference: Tensor | None = None


class ProblemsAndAnswers(PromptThenResponse):
    """Pairs -> Batch as for task=instruct, with the problems that answers are to be written to."""

    def __call__(self, examples: Sequence[Pair], draws: Sequence[int]) -> Batch:
        batch = super().__call__(examples, draws)
        prompts = tuple((*self.before, *example.source.tolist()) for example in examples)
        answers = tuple(tuple(example.target.tolist()) for example in examples)
        return batch._replace(problems=ProblemRows(prompts, answers, tuple(draws)))


@dataclass
class WrittenAnswers:
    """The answers to one prompt, on the host.

    ids: token ids of each, without EOS. ended: whether EOS came. rewards: of each. step: optimizer
    steps that were done when they were written. log_probs: (n,) of all their tokens in order, EOS
    included; None until the first update has computed them.
    """

    ids: list[list[int]]
    ended: list[bool]
    rewards: list[float]
    step: int
    log_probs: Tensor | None = None

    @property
    def lengths(self) -> list[int]:
        """Tokens of each answer, EOS included."""
        return [len(ids) + end for ids, end in zip(self.ids, self.ended, strict=True)]


def draw_answers(
    model: Any,
    problems: ProblemRows,
    n_answers: int,
    max_new_tokens: int,
    temperature: float,
) -> list[tuple[list[list[int]], list[bool]]]:
    """n_answers to each problem: token ids without EOS, and whether EOS came.

    What is drawn depends on the seed of the problem and the number of the answer, so that it is the
    same in every cut of a step into micro-batches and ranks, but for rounding. Without dropout.
    """
    rows = [np.asarray(prompt, dtype=np.int64) for prompt in problems.prompts]
    rows = [row for row in rows for _ in range(n_answers)]
    seeds = [row_seed(seed, number) for seed in problems.seeds for number in range(n_answers)]
    sampler = make_sampler(Sampling(temperature), seeds)
    with evaluating(model):
        # One more, which is EOS where the model ends the longest answer.
        written = generate_tokens(model, rows, max_new_tokens=max_new_tokens + 1, sampler=sampler)
    found = []
    for start in range(0, len(rows), n_answers):
        ids = written[start : start + n_answers]
        ended = [len(row) <= max_new_tokens for row in ids]
        found.append(([row[:max_new_tokens] for row in ids], ended))
    return found


def best_answers(
    model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int, beams: Beams | None
) -> tuple[list[list[int]], list[bool]]:
    """The best answer to each prompt, see `best_tokens`, without EOS, and whether that came."""
    rows = [np.asarray(prompt, dtype=np.int64) for prompt in prompts]
    written = best_tokens(model, rows, beams, max_new_tokens=max_new_tokens + 1)
    return [row[:max_new_tokens] for row in written], [
        len(row) <= max_new_tokens for row in written
    ]


def put_back(
    answers: Sequence[WrittenAnswers], labels: Tensor, device: torch.device
) -> Tensor | None:
    """Kept log-probabilities at the places of their tokens, (R, T); None where there are none."""
    kept = [each.log_probs for each in answers if each.log_probs is not None]
    if len(kept) < len(answers):
        return None
    tokens = torch.cat(kept)
    found = torch.zeros(labels.shape, dtype=tokens.dtype)
    found[labels != IGNORE] = tokens
    return found.to(device)


class KeptAnswers:
    """The answers of a step that serve several updates, by the seed of their problem."""

    def __init__(self) -> None:
        self._found: dict[int, WrittenAnswers] = {}

    def find(self, seeds: Sequence[int]) -> list[WrittenAnswers] | None:
        """Those of all these problems; None where some have none."""
        found = [self._found[seed] for seed in seeds if seed in self._found]
        return found if len(found) == len(seeds) else None

    def keep(self, seeds: Sequence[int], answers: Sequence[WrittenAnswers], step: int) -> None:
        """Keep the answers written at a step, and none of before."""
        self._found = {seed: a for seed, a in self._found.items() if a.step == step}
        self._found |= dict(zip(seeds, answers, strict=True))

    def state(self) -> dict[int, dict[str, Any]]:
        """Plain values and tensors, for a checkpoint."""
        return {seed: vars(answers).copy() for seed, answers in self._found.items()}

    def load(self, state: dict[int, dict[str, Any]]) -> None:
        """Take on a state, of all ranks."""
        self._found = {seed: WrittenAnswers(**answers) for seed, answers in state.items()}


class RolloutCounts:
    """Sums over answers: those since the last log, and those of the whole run.

    n_generated: tokens that this process has written, EOS included. differed: whether rewards
    have differed so far where the policy can learn from it.
    """

    def __init__(self) -> None:
        self.n_generated = 0
        self.differed = False
        self._range: tuple[float, float] | None = None
        self._clear()

    def _clear(self) -> None:
        self._host = [0.0] * 5  # answers, their rewards and tokens; prompts, those that differ
        self._scored: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def add_written(self, answers: Sequence[WrittenAnswers], *, compares: bool) -> None:
        """Count new answers. compares: whether they are judged by others to the same prompt."""
        lengths = [n for each in answers for n in each.lengths]
        rewards = [r for each in answers for r in each.rewards]
        n_differing = sum(len(set(each.rewards)) > 1 for each in answers)
        self.n_generated += sum(lengths)
        values = (len(rewards), sum(rewards), sum(lengths), len(answers), n_differing)
        self._host = [a + b for a, b in zip(self._host, values, strict=True)]
        low, high = self._range or (rewards[0], rewards[0])
        self._range = min(low, *rewards), max(high, *rewards)
        self.differed |= n_differing > 0 if compares else self._range[0] < self._range[1]

    def check_differed(self, model: Any, *, compares: bool) -> None:
        """Refuse to go on where no reward has differed so far, on any rank. Call on all ranks."""
        n_differed = float(self.differed)
        if model.trainer.world_size > 1:
            n_differed = float(model.total(torch.tensor(n_differed, device=model.device)))
        if not n_differed:
            answers = "the answers to a prompt have" if compares else "answers have"
            raise ConfigError(
                f"in {PATIENCE} steps {answers} never differed in reward, so that there is nothing "
                "to learn; start with a model that is right now and then (init_from=FOLDER), or "
                "use a reward with more than one value"
            )

    def add_scored(self, n_tokens: Tensor, entropy: Tensor, kl: Tensor | None) -> None:
        """Count the tokens of an update, their summed -log p and KL; all stay on the device."""
        self._scored.append((n_tokens, entropy, kl))

    def take(self, model: Any) -> dict[str, float]:
        """Means over all ranks since last asked; waits for the device."""
        n_tokens = sum(float(n) for n, _, _ in self._scored)
        entropy = sum(float(value) for _, value, _ in self._scored)
        divergences = [kl for _, _, kl in self._scored if kl is not None]
        values = [*self._host, n_tokens, entropy, sum(map(float, divergences))]
        self._clear()
        if model.trainer.world_size > 1:
            values = model.total(torch.tensor(values, device=model.device)).tolist()
        n, reward, length, n_prompts, n_differing, n_tokens_all, entropy, kl = values
        found = {}
        if n:
            found = {
                "train/reward": reward / n,
                "train/answer_length": length / n,
                "train/share_differing": n_differing / n_prompts,
            }
        if n_tokens_all:
            found["train/entropy"] = entropy / n_tokens_all
            if divergences:
                found["train/kl"] = kl / n_tokens_all
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: nothing of what is logged next."""
        return {"n_generated": self.n_generated, "differed": self.differed, "range": self._range}

    @staticmethod
    def merged(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """One state of those of all ranks."""
        ranges = [state["range"] for state in states if state["range"] is not None]
        return {
            "n_generated": sum(state["n_generated"] for state in states),
            "differed": any(state["differed"] for state in states),
            "range": (min(a for a, _ in ranges), max(b for _, b in ranges)) if ranges else None,
        }

    def load(self, state: dict[str, Any], *, first: bool) -> None:
        """Take on a merged state. first: whether this rank goes on with what all have counted."""
        self.n_generated = int(state["n_generated"]) if first else 0
        self.differed = bool(state["differed"])
        self._range = None if state["range"] is None else tuple(state["range"])
