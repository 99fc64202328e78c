"""What tasks over the vocabulary's tokens share: the head, scored in parts, and a guess."""

import math

from torch import Tensor, nn

from lightning_transformer.nn.embedding.base import MakesHead
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.loss.cross_entropy import LossSums
from lightning_transformer.tasks.base import Batch, Task, log_frequencies
from lightning_transformer.tasks.head_loss import head_loss
from lightning_transformer.tasks.metrics.row_losses import RowLosses

MAX_SCORES = 2**24  # that an evaluation keeps: 64 MiB of float32


class TokenTask(Task):
    """A task whose scores are those of the vocabulary's tokens.

    tie_embeddings: the output layer shares the table of the embedding. bias: of the output layer.
    softcap, score_scale: of its scores, see `Head`.
    """

    def __init__(
        self,
        *,
        loss: nn.Module,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(loss=loss)
        self.tie_embeddings, self.bias = tie_embeddings, bias
        self.softcap, self.score_scale = softcap, score_scale

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        if self.tie_embeddings and isinstance(embedding, MakesHead):
            if self.score_scale is not None:
                raise ValueError(
                    f"task.score_scale={self.score_scale} has no effect on the tied head that "
                    f"{type(embedding).__name__} makes; use tie_embeddings=false"
                )
            self.head = embedding.tied_head(bias=self.bias, softcap=self.softcap)
            return
        self.head = Head(
            d_model,
            embedding.num_embeddings,
            bias=self.bias,
            softcap=self.softcap,
            score_scale=self.score_scale,
        )
        if self.tie_embeddings:
            self.head.weight = embedding.weight

    def before_head(self, features: Tensor) -> Tensor:
        """(N, D) features -> what the head reads."""
        return features

    def scores(self, features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.head(self.before_head(features.flatten(0, 1))), batch.labels.flatten()

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        if type(self).scores is not TokenTask.scores:  # a task of others may score otherwise
            return super().forward(features, batch)
        return self.token_loss(features, batch.labels, batch.places)

    def token_loss(self, features: Tensor, labels: Tensor, places: Tensor | None) -> LossSums:
        """Sums over labels (B, T) of features (B, T, D), which are scored at `Batch.places` alone.

        No label elsewhere may be a target.
        """
        rows, targets = features.flatten(0, 1), labels.flatten()
        if places is not None:
            rows, targets = rows.index_select(0, places), targets.index_select(0, places)
        return head_loss(self.head, self.loss, self.before_head(rows), targets)

    def update(
        self,
        metrics: nn.ModuleDict,
        features: Tensor,
        batch: Batch,
        rows: RowLosses | None = None,
    ) -> None:
        for chosen, part in batch.in_rows(self._rows_scored(batch)):
            super().update(metrics, features[chosen], part, rows)

    def update_baseline(
        self,
        metrics: nn.ModuleDict,
        guess: Tensor,
        batch: Batch,
        split: str,
        ranks: tuple[int, int],
    ) -> None:
        for _, part in batch.in_rows(self._rows_scored(batch)):
            super().update_baseline(metrics, guess, part, split, ranks)

    def _rows_scored(self, batch: Batch) -> int:
        """How many rows are evaluated together, whose scores are kept: one at least."""
        return max(1, MAX_SCORES // (batch.labels.shape[1] * self.head.out_features))

    def chance(self) -> dict[str, float]:
        return {"loss": math.log(self.vocabulary.size)}

    def same_guess(self, labels: Tensor) -> Tensor | None:
        """The unigram: log of how often each token is a target, none being impossible."""
        return log_frequencies(labels, self.vocabulary.size)
