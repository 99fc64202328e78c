"""What tasks share: padding rows, the head over the vocabulary, moving batches."""

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks.base import Batch, Task, TokenTask, pad, pad_mask

ROWS = [np.array([1, 2, 3]), np.array([4]), np.array([5, 6])]


def test_pad() -> None:
    padded = pad(ROWS, 9)
    assert padded.tolist() == [[1, 2, 3], [4, 9, 9], [5, 6, 9]]
    assert padded.dtype == torch.long


def test_pad_mask_is_true_for_pads() -> None:
    mask = pad_mask(ROWS)
    assert mask is not None
    assert mask.tolist() == [[False, False, False], [False, True, True], [False, False, True]]


def test_equally_long_rows_need_no_mask() -> None:
    assert pad_mask([np.array([1, 2]), np.array([3, 4])]) is None


@pytest.mark.parametrize("tied", [True, False])
def test_tied_head_is_the_table_itself(tied: bool) -> None:
    table = nn.Embedding(7, 4)
    task = TokenTask(loss=CrossEntropy(), tie_embeddings=tied, bias=True)
    task.build_head(4, table)
    head = task.head
    assert (head.weight is table.weight) == tied
    assert head.weight.shape == (7, 4)
    assert head.bias.shape == (7,)


def test_to_moves_every_tensor() -> None:
    one = torch.tensor([[1]])
    moved = Batch(one, one, one.sum(), 1, source_ids=one).to(torch.device("meta"))
    assert moved.input_ids.is_meta
    assert moved.source_ids.is_meta
    assert (moved.n_tokens, moved.padding) == (1, None)


def test_a_task_has_to_say_what_it_does() -> None:
    task = Task(loss=nn.Identity())
    for call in (lambda: task.collator("train"), lambda: task.build_head(4, nn.Embedding(2, 4))):
        with pytest.raises(NotImplementedError):
            call()
