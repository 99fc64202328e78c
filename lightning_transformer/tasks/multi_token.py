"""Predicting several next tokens at once; generation uses the first of them."""

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.loss.cross_entropy import LossSums
from lightning_transformer.tasks.base import IGNORE, Batch
from lightning_transformer.tasks.causal_lm import CausalLM


class MultiToken(CausalLM):
    """Predict the next n_future tokens at once (Gloeckle et al. 2024).

        objective = sum_t -log p_1(x_{t+1}) + future_weight * sum_{k=2..n} sum_t -log p_k(x_{t+k})
        p_1 = softmax(head(h_t)), p_k = softmax(head(W_k h_t)), one head for all

    The paper's linear heads (its appendix B; its main ones are a transformer layer each, the first
    too). Further heads serve training alone: metrics and generation are those of the next token.
    No target beyond a document's end. max_len: tokens of a row, which no target can be beyond.
    """

    def __init__(
        self,
        *,
        loss: nn.Module,
        max_len: int,
        n_future: int = 4,
        future_weight: float = 1.0,
        tie_embeddings: bool = True,
        bias: bool = False,
        softcap: float | None = None,
        score_scale: float | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            tie_embeddings=tie_embeddings,
            bias=bias,
            softcap=softcap,
            score_scale=score_scale,
        )
        checks.between("n_future", n_future, 1, max_len)
        checks.positive("future_weight", future_weight, 1.0)
        self.head_uses, self.future_weight = n_future, future_weight

    def build_head(self, d_model: int, embedding: nn.Embedding) -> None:
        super().build_head(d_model, embedding)
        further = (nn.Linear(d_model, d_model, bias=False) for _ in range(self.head_uses - 1))
        self.future = nn.ModuleList(further)

    def forward(self, features: Tensor, batch: Batch) -> LossSums:
        sums = super().forward(features, batch)
        objective, labels = sums.objective, batch.labels
        for k, ahead in enumerate(self.future, start=1):
            labels = one_further(labels)
            if batch.documents is not None:
                labels = labels.masked_fill(_another(batch.documents, k), IGNORE)
            # No label is a target further ahead where the nearer one is none.
            extra = self.token_loss(ahead(features), labels, batch.places).objective
            objective = objective + self.future_weight * extra
        return LossSums(objective, sums.nll)


def one_further(labels: Tensor) -> Tensor:
    """Labels (B, T) of the tokens one place behind those of labels (B, T).

    -100 where there is none, or where the nearer one is -100 already.
    """
    moved = F.pad(labels[:, 1:], (0, 1), value=IGNORE)
    return moved.masked_fill(labels == IGNORE, IGNORE)


def _another(documents: Tensor, k: int) -> Tensor:
    """Whether the input k places behind each of (B, T) is of another document."""
    return F.pad(documents[:, k:], (0, k), value=-1) != documents
