"""Learning from pairs of answers, of which one is preferred."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_transformer.data.examples import Pair, Preference
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy, LossSums
from lightning_transformer.nn.preference.base import AnswerPairs, PreferenceLoss
from lightning_transformer.tasks.base import IGNORE, Batch, Collator, Sample, update
from lightning_transformer.tasks.continuations import greedy_samples, responses, with_start
from lightning_transformer.tasks.metrics.mean import Mean
from lightning_transformer.tasks.metrics.row_losses import RowLosses
from lightning_transformer.tasks.predict import Prediction, PredictOptions
from lightning_transformer.tasks.reference import Reference
from lightning_transformer.tasks.responses import (
    are_greedy,
    join_responses,
    response_log_probs,
)
from lightning_transformer.tasks.token_task import TokenTask


class ChosenThenRejected:
    """Preferences -> Batch of 2 B rows: prompts with chosen answers, then with rejected ones.

    labels (B,): 0, the first of both answers is the better one; -100 where there is no second.
    A pair of question and answer is a prompt with its answer and no second one.
    """

    def __init__(self, eos_id: int, pad_id: int, before: Sequence[int] = ()) -> None:
        self.eos_id, self.pad_id, self.before = eos_id, pad_id, before

    def __call__(self, examples: Sequence[Preference | Pair], draws: Sequence[int]) -> Batch:
        whole = [
            e if isinstance(e, Preference) else Preference(e.source, e.target, e.target[:0])
            for e in examples
        ]
        prompts = [e.prompt for e in whole]
        answers = [e.chosen for e in whole] + [e.rejected for e in whole]
        scored = [np.append(a, self.eos_id) if len(a) else np.array([IGNORE]) for a in answers]
        rows = join_responses(prompts * 2, scored, answers, self.pad_id, self.before)
        labels = torch.tensor([0 if len(e.rejected) else IGNORE for e in whole])
        return Batch(
            rows.input_ids,
            labels,
            (labels != IGNORE).sum(),
            rows.n_tokens,
            places=rows.places,
            responses=rows.labels,
        )


class PreferenceLearning(TokenTask):
    """Make the chosen answer likelier than the rejected one, by the loss of `preference`.

    An answer y behind a prompt x has log p(y | x) = sum_t log p(y_t | x, y_<t), y ending in EOS;
    prompt and answers are tokenised apart. What is minimised is the mean over the pairs of a step.
    Where the loss has a reference, that is the model as the run started (`tasks.reference`).

    Metrics are of the trained model alone, the same for every loss. Of pairs: `loss`,
    -log sigmoid(log p(chosen) - log p(rejected)) in nats; `accuracy`, the share with
    log p(chosen) > log p(rejected); `margin`, the mean of their difference. Of prompts:
    `exact_match`, the share whose greedy output is the chosen answer; `probability`, the mean of
    p(chosen); `chosen_nll`, nats per token of the chosen answers.
    """

    causal = True
    example = Preference
    made_from = Pair

    def __init__(
        self,
        *,
        preference: PreferenceLoss,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(
            loss=CrossEntropy(),
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        self.preference = preference
        self.reference = Reference()

    @property
    def needs_reference(self) -> bool:
        """Whether the loss has a reference."""
        return self.preference.needs_reference

    def read_vocabulary(self) -> None:
        self.n_extra_tokens = len(self.vocabulary.before)

    def collator(self, split: str) -> Collator:
        words = self.vocabulary
        return ChosenThenRejected(words.eos_id, words.pad_id, words.before)

    def complete(self, model: Any, batch: Batch) -> Batch:
        if not self.needs_reference:
            return batch
        assert batch.responses is not None
        self.reference.begin(model)
        found = self.reference.log_probs(model, batch, batch.responses)
        return batch._replace(reference=found.sums)

    def training_state(self, model: Any) -> dict[str, Any]:
        return {"reference": self.reference.state()}

    def load_training_state(self, model: Any, state: Mapping[str, Any]) -> None:
        self.reference.load(state.get("reference"))

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        """Sums over the pairs of a batch.

        Without log-probabilities of a reference, that is the model as it is: the loss of the first
        step.
        """
        pairs = self._pairs(features, batch)
        counted = batch.labels != IGNORE
        if self.needs_reference:
            sums = batch.reference
            if sums is None:
                sums = torch.cat((pairs.chosen, pairs.rejected)).detach()
            chosen, rejected = sums.chunk(2)
            pairs = pairs._replace(reference_chosen=chosen, reference_rejected=rejected)
        losses = self.preference(pairs)
        return LossSums(
            losses.masked_fill(~counted, 0.0).sum(), _nll(pairs, counted).detach().sum()
        )

    def _pairs(self, features: Tensor, batch: Batch) -> AnswerPairs:
        assert batch.responses is not None
        found = response_log_probs(self, features, batch.responses, batch.places)
        return AnswerPairs(*found.sums.chunk(2), *found.counts.clamp(min=1).chunk(2))

    def chance(self) -> dict[str, float]:
        return {"accuracy": 0.5}

    def same_guess(self, labels: Tensor) -> None:
        """No guess: what is preferred lies in the answers, not in their labels."""

    def metrics(self) -> dict[str, Metric]:
        names = ("accuracy", "margin", "exact_match", "probability", "chosen_nll")
        return super().metrics() | {name: Mean() for name in names}

    def update(
        self,
        metrics: nn.ModuleDict,
        features: Tensor,
        batch: Batch,
        rows: RowLosses | None = None,
    ) -> None:
        pairs = self._pairs(features, batch)
        counted, n = batch.labels != IGNORE, batch.n_targets
        nll, margins = _nll(pairs, counted), pairs.chosen - pairs.rejected
        if rows is not None:
            rows.add(nll, counted, len(nll))
        update(metrics, "loss", nll.sum(), n)
        update(metrics, "accuracy", ((margins > 0) & counted).sum(), n)
        update(metrics, "margin", margins.masked_fill(~counted, 0.0).sum(), n)
        assert batch.responses is not None
        right = are_greedy(self, features, batch.responses, batch.places)[: len(counted)]
        update(metrics, "exact_match", right.sum(), len(right))
        update(metrics, "probability", pairs.chosen.exp().sum(), len(right))
        update(metrics, "chosen_nll", -pairs.chosen.sum(), pairs.n_chosen.sum())

    def demonstrate(self, model: Any, examples: Sequence[Any]) -> list[Sample]:
        prompts = [example[0] for example in examples]
        rows = [with_start(self.vocabulary, ids) for ids in prompts]
        return greedy_samples(model, rows, prompts, [example[1] for example in examples])

    def encode_input(self, text: str) -> np.ndarray:
        """Ids of a prompt, with what a trained model expects before it."""
        return with_start(self.vocabulary, self.vocabulary.encode(text))

    def read_prompts(self, piped: str | None) -> list[str]:
        """All that was piped in as one prompt."""
        return [(piped or "").removesuffix("\n")]

    def predict(
        self, model: Any, texts: Sequence[str], options: PredictOptions
    ) -> Iterator[Prediction]:
        """The answer to each prompt, greedily by default; "" for an empty one."""
        yield from responses(model, texts, options, model.max_len - self.n_extra_tokens)


def _nll(pairs: AnswerPairs, counted: Tensor) -> Tensor:
    """(B,) nats of choosing between both answers by their probabilities; 0 where none is asked."""
    return -F.logsigmoid(pairs.chosen - pairs.rejected).masked_fill(~counted, 0.0)
