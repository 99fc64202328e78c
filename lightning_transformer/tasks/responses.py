"""Responses behind prompts: rows of both, and the log-probability of each response."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_transformer.tasks.base import Batch, update
from lightning_transformer.tasks.batch import pad, target_places
from lightning_transformer.tasks.head_loss import rows_at_a_time
from lightning_transformer.tasks.metrics.row_losses import IGNORE
from lightning_transformer.tasks.token_task import TokenTask


class ResponseRows(NamedTuple):
    """Rows x_1 .. x_m y_1 .. y_n, padded on the right, and what is scored in them.

    input_ids (B, T) long; labels (B, T) long: y_1 .. y_n EOS where each is predicted, else -100;
    places: see `Batch.places`; n_tokens: without pads.
    """

    input_ids: Tensor
    labels: Tensor
    places: Tensor | None
    n_tokens: int


class ResponseLogProbs(NamedTuple):
    """log p(y_t | x, y_<t) of responses, float32 (float64 of a model in float64).

    tokens (B, T), 0 where nothing is scored; sums (B,) over each response; counts (B,) long: how
    many tokens that is, EOS included.
    """

    tokens: Tensor
    sums: Tensor
    counts: Tensor


def join_responses(
    prompts: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    responses: Sequence[np.ndarray],
    pad_id: int,
    before: Sequence[int] = (),
) -> ResponseRows:
    """Join prompts and responses, which are tokenised apart, as ids.

    labels: of each response (n_i + 1,), its tokens and EOS, or -100 for what is not scored. before:
    ids in front of each row, as a trained model may expect. Nothing is cut.
    """
    inputs, targets = [], []
    for prompt, own, response in zip(prompts, labels, responses, strict=True):
        start = np.concatenate((before, prompt))
        inputs.append(np.concatenate((start, response)).astype(np.int64))
        unscored = np.full(len(start) - 1, IGNORE)  # the last of the prompt says y_1
        targets.append(np.concatenate((unscored, own)))
    found = pad(targets, IGNORE)
    n_tokens = sum(map(len, inputs))
    return ResponseRows(pad(inputs, pad_id), found, target_places(found), n_tokens)


def response_log_probs(
    task: TokenTask,
    features: Tensor,
    labels: Tensor,
    places: Tensor | None = None,
    temperature: float = 1.0,
) -> ResponseLogProbs:
    """Log-probabilities of responses, and of how many tokens they are.

    Only rows of features that have a label go through the head. Where these are more than
    `rows_at_a_time`, their scores (N, V) are made part by part and again in the backward pass, so
    that they never exist together.

    temperature: by which scores are divided first, > 0, as where tokens are drawn.
    Shape: features (B, T, D), labels (B, T) long with -100 = not scored, places: `Batch.places`.
    """
    rows, targets = features.flatten(0, 1), labels.flatten()
    if places is not None:
        rows, targets = rows.index_select(0, places), targets.index_select(0, places)
    n_rows = rows_at_a_time(task.head.out_features)
    if len(rows) <= n_rows:
        found = _log_probs(task, rows, targets, temperature)
    else:
        parts = zip(rows.split(n_rows), targets.split(n_rows), strict=True)
        found = torch.cat([_again_in_backward(task, *part, temperature) for part in parts])
    if places is not None:
        found = found.new_zeros(labels.numel()).index_copy(0, places, found)
    tokens = found.view_as(labels)
    return ResponseLogProbs(tokens, tokens.sum(dim=1), (labels != IGNORE).sum(dim=1))


@torch.no_grad()
def are_greedy(
    task: TokenTask, features: Tensor, labels: Tensor, places: Tensor | None = None
) -> Tensor:
    """(B,) bool: whether each scored token is the likeliest one, as in greedy output.

    Shape: as `response_log_probs`.
    """
    rows, targets = features.flatten(0, 1), labels.flatten()
    if places is not None:
        rows, targets = rows.index_select(0, places), targets.index_select(0, places)
    parts = rows.split(rows_at_a_time(task.head.out_features))
    likeliest = torch.cat([task.head(task.before_head(part)).argmax(dim=-1) for part in parts])
    right = likeliest == targets
    if places is not None:
        whole = torch.ones(labels.numel(), dtype=torch.bool, device=labels.device)
        right = whole.index_copy(0, places, right)
    return (right.view_as(labels) | (labels == IGNORE)).all(dim=1)


def update_right(metrics: nn.ModuleDict, scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Add scores (B T, V) to `accuracy`, of tokens, and `exact_match`, of rows that have a target.

    Returns which places (B, T) bool have their label as the likeliest token, and in which rows (B,)
    all have. A target that was cut is not matched: whoever says its end there leaves out the rest.
    """
    counted = batch.labels != IGNORE
    right = scores.argmax(dim=-1).view_as(batch.labels) == batch.labels
    update(metrics, "accuracy", (right & counted).sum(), batch.n_targets)
    asked = counted.any(dim=1)
    whole = (right | ~counted).all(dim=1)
    if batch.rests is not None:
        whole = whole & (batch.rests == IGNORE).all(dim=1)
    update(metrics, "exact_match", (whole & asked).sum(), asked.sum())
    return right, whole


def _again_in_backward(
    task: TokenTask, rows: Tensor, targets: Tensor, temperature: float
) -> Tensor:
    found: Tensor = checkpoint(
        _log_probs,
        task,
        rows,
        targets,
        temperature,
        use_reentrant=False,
        preserve_rng_state=False,
    )
    return found


def _log_probs(task: TokenTask, rows: Tensor, targets: Tensor, temperature: float) -> Tensor:
    scores = task.head(task.before_head(rows))
    scores = scores if scores.dtype == torch.float64 else scores.float()
    scores = scores if temperature == 1 else scores / temperature
    return -F.cross_entropy(scores, targets, reduction="none", ignore_index=IGNORE)
