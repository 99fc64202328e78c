"""reward=model: the score of another run, trained to judge texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lightning_transformer.tasks.classification import Classification
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.regression import Regression
from lightning_transformer.tasks.rewards.base import Answer, LoadRun, RewardFunction


class RunScore(RewardFunction):
    """What a run of task=classification or task=regression says of prompt and answer together.

    Of a classifier it is log p(label | text) in nats, at most 0; of a regression the number itself.
    Texts are cut to what the run reads, from their end, as in its training. A text without words is
    given the lowest reward of its batch.

    path: the run's folder. label: the class whose probability is meant; null for a regression.
    """

    def __init__(self, *, path: str, label: str | None = None) -> None:
        self.path, self.label = path, label
        self._load: LoadRun | None = None
        self._judge: Any = None
        self._class = 0

    def connect(self, load: LoadRun) -> None:
        self._load = load

    def check(self) -> None:
        self._ready()

    def _ready(self) -> Any:
        """The judging model, loaded when it is first needed."""
        if self._judge is not None:
            return self._judge
        assert self._load is not None, "connect comes first"
        try:
            judge = self._load(Path(self.path))
        except ValueError as error:
            raise ValueError(f"reward.path={self.path} cannot judge answers: {error}") from None
        self._class = self._class_of(judge.task)
        self._judge = judge.requires_grad_(False)
        return judge

    def _class_of(self, task: Any) -> int:
        """The number of the class whose score is the reward; 0 for a regression."""
        if isinstance(task, Regression):
            if self.label is not None:
                raise ValueError(
                    f"reward.label={self.label} has no effect: {self.path} is a regression, whose "
                    "number is the reward; leave it out"
                )
            return 0
        if not isinstance(task, Classification):
            raise ValueError(
                f"reward.path={self.path} is a run of {type(task).__name__}, which gives texts no "
                "score; name a run of task=classification or task=regression"
            )
        labels = list(task.labels)
        if self.label not in labels:
            raise ValueError(
                f"reward.label={'null' if self.label is None else self.label} is no class of "
                f"{self.path}; choose from {', '.join(labels)}, for example "
                f"reward.label={labels[-1]}"
            )
        return labels.index(self.label)

    @torch.no_grad()
    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        judge = self._ready()
        if judge.device != device:
            judge.to(device)
        texts = [answer.prompt + answer.text for answer in answers]
        options = PredictOptions(batch_size=max(1, len(texts)))
        with torch.autocast(device.type, enabled=False):  # as the run scores by itself
            scores = list(judge.task.scores_of(judge, texts, options))
        rewards = [None if score is None else self._reward(score) for score in scores]
        lowest = min((r for r in rewards if r is not None), default=0.0)
        return [lowest if reward is None else reward for reward in rewards]

    def _reward(self, score: torch.Tensor) -> float:
        if score.ndim == 0:
            return float(score)
        return float(score.log_softmax(dim=-1)[self._class])
