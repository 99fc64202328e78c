"""Learning from rewards: a policy gradient on answers that the model writes itself."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.decoding.sampler import row_seed
from lightning_transformer.decoding.sampling import LEAST_TEMPERATURE
from lightning_transformer.distributed.ranks import gather_objects
from lightning_transformer.nn import checks
from lightning_transformer.nn.loss.cross_entropy import LossSums
from lightning_transformer.tasks.base import IGNORE, Batch, Collator, Sample, update
from lightning_transformer.tasks.continuations import beams_to_score
from lightning_transformer.tasks.instruct import Instruct
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.policies.base import Policy, k3, token_mean
from lightning_transformer.tasks.reference import Reference
from lightning_transformer.tasks.responses import join_responses, response_log_probs
from lightning_transformer.tasks.rewards.base import Answer, LoadRun, RewardFunction
from lightning_transformer.tasks.rollouts import (
    PATIENCE,
    KeptAnswers,
    ProblemRows,
    ProblemsAndAnswers,
    Rollout,
    RolloutCounts,
    WrittenAnswers,
    best_answers,
    draw_answers,
    put_back,
)


class Reward(Instruct):
    """Learn from rewards of answers that the model draws, n_answers to each prompt of a step.

    The loss of an answer is the policy's, plus kl_coef times the mean over its tokens of
    k3 = exp(d) - d - 1, d = log p_reference - log p, in float32 and with d held to [-10, 10]
    (Schulman 2020); the reference is the model at the start. Losses are divided by the answers of
    the whole step. Chances are softmax(scores / temperature) over the vocabulary, of which special
    tokens but EOS are never drawn. `train/loss` is minus the mean reward, and so no number to set
    beside `val/loss`, which is that of task=instruct on the true answers, as are `accuracy`,
    `perplexity` and `exact_match`. `p_answer` is the mean probability of the true answer; `reward`
    and `answer_length` (tokens, EOS included) are of greedy answers, or of the best of n_beams with
    length_penalty (see `Beams`), to the first n_generated examples of a validation and to all of
    the test. Without answers, as in an evaluation, a batch is scored by its true ones. Raises
    ValueError for options outside their range or without effect, and for one answer to compare.
    """

    def __init__(
        self,
        *,
        loss: nn.Module,
        reward: RewardFunction,
        policy: Policy,
        max_len: int,
        max_new_tokens: int,
        n_answers: int = 8,
        temperature: float = 1.0,
        kl_coef: float = 0.01,
        n_generated: int = 128,
        n_beams: int = 1,
        length_penalty: float = 1.0,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            max_len=max_len,
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        checks.between("max_new_tokens", max_new_tokens, 1, max_len)
        checks.at_least("n_answers", n_answers, 1, 8)
        checks.number_from("temperature", temperature, LEAST_TEMPERATURE, 1.0)
        checks.non_negative("kl_coef", kl_coef, 0.01)
        checks.at_least("n_generated", n_generated, 0, 128)
        if policy.compares and n_answers == 1:
            raise ValueError(
                "task.n_answers=1 leaves the policy no answer to compare another with; use "
                "task.n_answers=8, or policy=reinforce"
            )
        self.reward, self.policy = reward, policy
        self.n_answers, self.temperature, self.kl_coef = n_answers, temperature, kl_coef
        self.max_new_tokens, self.n_generated = max_new_tokens, n_generated
        self.beams = beams_to_score(n_beams, length_penalty, n_generated)
        self.n_updates = policy.n_updates
        self.kept, self.counts, self.reference = KeptAnswers(), RolloutCounts(), Reference()

    @property
    def needs_reference(self) -> bool:
        """Whether the loss has a distance from the start."""
        return self.kl_coef > 0

    def connect(self, load: LoadRun) -> None:
        self.reward.connect(load)

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        return ProblemsAndAnswers(words.eos_id, words.pad_id, words.before)

    # -- training ---------------------------------------------------------------------------------

    def complete(self, model: Any, batch: Batch) -> Batch:
        """The batch of R = B n_answers rows, each a prompt with an answer of the model.

        Its targets are the answers: n_targets is R, and step_targets those of the whole step on
        this rank, whose micro-batches have equally many problems.
        """
        problems = batch.problems
        assert problems is not None
        if model.global_step == PATIENCE:
            self.counts.check_differed(model, compares=self.policy.compares)
        answers = self.kept.find(problems.seeds)
        if answers is None:
            answers = self._write(model, problems)
        found = self._joined(model, problems, answers)
        if not self.needs_reference:
            return found
        assert found.rollout is not None
        self.reference.begin(model)
        start = self.reference.log_probs(model, found, found.labels, self.temperature)
        return found._replace(rollout=found.rollout._replace(reference=start.tokens))

    def _write(self, model: Any, problems: ProblemRows) -> list[WrittenAnswers]:
        """New answers to problems, with their rewards."""
        drawn = draw_answers(model, problems, self.n_answers, self.max_new_tokens, self.temperature)
        ids = [row for rows, _ in drawn for row in rows]
        ended = [end for _, ends in drawn for end in ends]
        rewards = self._rewards(model, problems, ids, ended, self.n_answers)
        step, answers = int(model.global_step), []
        for i, (rows, ends) in enumerate(drawn):
            own = rewards[i * self.n_answers : (i + 1) * self.n_answers]
            answers.append(WrittenAnswers(rows, ends, own, step))
        self.counts.add_written(answers, compares=self.policy.compares)
        if self.n_updates > 1:
            self.kept.keep(problems.seeds, answers, step)
        return answers

    def _rewards(
        self,
        model: Any,
        problems: ProblemRows,
        ids: Sequence[Sequence[int]],
        ended: Sequence[bool],
        n_each: int,
    ) -> list[float]:
        """The reward of each answer, n_each to every problem in order."""
        decode, n_before = self.vocabulary.decode, len(self.vocabulary.before)
        asked = [
            (decode(prompt[n_before:]), decode(answer), row_seed(seed, number))
            for prompt, answer, seed in zip(*problems, strict=True)
            for number in range(n_each)
        ]
        answers = [
            Answer(prompt, decode(row), expected, end, seed)
            for (prompt, expected, seed), row, end in zip(asked, ids, ended, strict=True)
        ]
        rewards = self.reward(answers, model.device)
        assert len(rewards) == len(answers), "one reward per answer"
        wrong = next((r for r in rewards if not math.isfinite(r)), None)
        if wrong is not None:
            raise ValueError(f"{type(self.reward).__name__} gave a reward of {wrong}, no number")
        return rewards

    def _joined(
        self, model: Any, problems: ProblemRows, answers: Sequence[WrittenAnswers]
    ) -> Batch:
        """Rows of prompts and answers as a batch, with what is known of the answers."""
        prompts, labels, written = [], [], []
        for prompt, each in zip(problems.prompts, answers, strict=True):
            for ids, end in zip(each.ids, each.ended, strict=True):
                prompts.append(np.asarray(prompt, dtype=np.int64))
                written.append(np.asarray(ids, dtype=np.int64))
                labels.append(np.append(written[-1], self.vocabulary.eos_id if end else IGNORE))
        rows = join_responses(prompts, labels, written, self.vocabulary.pad_id)
        rewards = torch.tensor([each.rewards for each in answers], dtype=torch.float64)
        n_rows = torch.tensor(rewards.numel())
        exact = next(self.head.parameters()).dtype == torch.float64
        dtype = torch.float64 if exact else torch.float32
        batch = Batch(
            rows.input_ids,
            rows.labels,
            n_rows,
            rows.n_tokens,
            step_targets=n_rows * model.trainer.accumulate_grad_batches,
            places=rows.places,
            problems=problems,
        ).to(model.device)
        known = Rollout(
            rewards.flatten().to(dtype).to(model.device),
            self.policy.advantages(rewards).flatten().to(dtype).to(model.device),
            put_back(answers, rows.labels, model.device),
        )
        return batch._replace(rollout=known)

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        if batch.rollout is None:
            return super().forward(features, batch)
        found, scored = batch.rollout, batch.labels != IGNORE
        scores = response_log_probs(self, features, batch.labels, batch.places, self.temperature)
        now, then = scores.tokens, found.then
        if then is None:
            then = now.detach()
            self._keep_log_probs(batch, then, scored)
        losses = self.policy.losses(now, then, found.advantages, scored)
        kl = None
        if found.reference is not None:
            kl = k3(now, found.reference)
            losses = losses + self.kl_coef * token_mean(kl, scored)
            kl = (kl.detach() * scored).sum()
        self.counts.add_scored(scores.counts.sum(), -now.detach().sum(), kl)
        return LossSums(losses.sum(), -found.rewards.sum())

    def _keep_log_probs(self, batch: Batch, tokens: Tensor, scored: Tensor) -> None:
        """Remember how likely answers were when they were written, for later updates."""
        assert batch.problems is not None
        answers = self.kept.find(batch.problems.seeds) if self.n_updates > 1 else None
        if answers is not None:
            parts = tokens[scored].cpu().split([sum(each.lengths) for each in answers])
            for each, part in zip(answers, parts, strict=True):
                each.log_probs = part.clone()

    # -- what a checkpoint keeps ------------------------------------------------------------------

    def statistics(self, model: Any) -> dict[str, float]:
        return self.counts.take(model)

    def tokens_generated(self, model: Any) -> int:
        return sum(gather_objects(model.trainer, self.counts.n_generated))

    def training_state(self, model: Any) -> dict[str, Any]:
        states = gather_objects(model.trainer, (self.counts.state(), self.kept.state()))
        kept = {seed: answers for _, of_rank in states for seed, answers in of_rank.items()}
        counts = RolloutCounts.merged([counts for counts, _ in states])
        return {"counts": counts, "kept": kept, "reference": self.reference.state()}

    def load_training_state(self, model: Any, state: Mapping[str, Any]) -> None:
        self.counts, self.kept = RolloutCounts(), KeptAnswers()
        if state:
            self.counts.load(state["counts"], first=model.trainer.global_rank == 0)
            self.kept.load(state["kept"])
            self.reference.load(state["reference"])

    # -- evaluation -------------------------------------------------------------------------------

    def metrics(self) -> dict[str, Metric]:
        names = ["p_answer", *(("reward", "answer_length") if self.n_generated else ())]
        return super().metrics() | {name: Mean() for name in names}

    def update_scored(
        self, metrics: nn.ModuleDict, scores: Tensor, labels: Tensor, batch: Batch
    ) -> None:
        super().update_scored(metrics, scores, labels, batch)
        scores = scores if scores.dtype == torch.float64 else scores.float()
        nll = F.cross_entropy(scores, labels, reduction="none", ignore_index=IGNORE)
        asked = (batch.labels != IGNORE).any(dim=1)
        chances = nll.view_as(batch.labels).sum(dim=1).neg().exp()
        update(metrics, "p_answer", (chances * asked).sum(), asked.sum())

    def generate_metrics(
        self, model: Any, batch: Batch, metrics: nn.ModuleDict, split: str = "val"
    ) -> None:
        problems = batch.problems
        if not self.n_generated or problems is None:
            return
        rewarded = metrics["reward"]
        assert isinstance(rewarded, Mean)
        left = self.left_to_generate(split, rewarded, model.data_ranks)
        n = min(len(problems.seeds), left)
        if not n:
            return
        problems = ProblemRows(problems.prompts[:n], problems.answers[:n], problems.seeds[:n])
        ids, ended = best_answers(model, problems.prompts, self.max_new_tokens, self.beams)
        rewards = self._rewards(model, problems, ids, ended, 1)
        lengths = (len(row) + end for row, end in zip(ids, ended, strict=True))
        update(metrics, "reward", math.fsum(rewards), n)
        update(metrics, "answer_length", sum(lengths), n)

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        """Answers as they are scored, with their rewards."""
        problems = self.collator("val")(examples, list(range(len(examples)))).problems
        assert problems is not None
        ids, ended = best_answers(model, problems.prompts, self.max_new_tokens, self.beams)
        rewards = self._rewards(model, problems, ids, ended, 1)
        decode = self.vocabulary.decode
        return [
            Sample(decode(e.source), decode(row), decode(e.target), f"{reward:.4g}")
            for e, row, reward in zip(examples, ids, rewards, strict=True)
        ]
