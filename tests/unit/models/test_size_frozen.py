"""FLOPs of a step in which weights are frozen, by hand and against torch's own count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import measure
from lightning_transformer.nn.adapter.base import train_only
from lightning_transformer.nn.adapter.bottleneck import bottleneck
from lightning_transformer.nn.adapter.lora import lora
from lightning_transformer.optim.freeze.below import below
from lightning_transformer.tasks.base import Batch
from tests.conftest import tiny
from tests.unit.models.test_size import HIDDEN, LAYER, PLAIN, D, L, T, V


def head_alone(model: Transformer) -> None:
    train_only(model, [], new=["task.head.weight"])


def low_rank(model: Transformer) -> None:
    train_only(model, lora(model, seed=1, rank=4, targets=["q", "v", "down"]).trained or (), new=())


def behind_sublayers(model: Transformer) -> None:
    train_only(model, bottleneck(model, seed=1, width=4).trained or (), new=["task.head.weight"])


def test_of_the_head_alone_by_hand() -> None:
    model = tiny(*PLAIN, "model=encoder_only")
    head_alone(model)
    forward = L * (2 * LAYER + 4 * D * T)
    # The head: forward and its own gradient; no gradient goes below it.
    assert measure(model, T).flops_per_token == pytest.approx(forward + 2 * 2 * V * D)


def test_of_the_upper_block_by_hand() -> None:
    model = tiny(*PLAIN, "model=encoder_only")
    below(model, n_blocks=1)
    block = 2 * LAYER + 4 * D * T
    # The norm below q, k and v is trained, so that their inputs need a gradient too.
    assert measure(model, T).flops_per_token == pytest.approx(block + 3 * (block + 2 * V * D))
    assert HIDDEN * D * 2 < LAYER


@pytest.mark.parametrize("freeze", [head_alone, low_rank, behind_sublayers, below])
@pytest.mark.parametrize("model", ["decoder_only", "encoder_only", "encoder_decoder"])
def test_products_with_weights_are_as_torch_counts_them(
    model: str, freeze: Callable[[Transformer], None]
) -> None:
    def counted(change: Callable[[Transformer], None]) -> tuple[float, float]:
        made = tiny(f"model={model}", *PLAIN, "kernel=eager", dtype=torch.float32)
        change(made)
        ids = torch.zeros(1, T, dtype=torch.long)
        batch = Batch.without_labels(ids)
        if made.has_source:
            batch = batch._replace(source_ids=ids)
        with FlopCounterMode(display=False) as counter:
            scores, _ = made.task.scores(made(batch), batch)
            scores.sum().backward()
        n_tokens = 2 * T if made.has_source else T
        return counter.get_total_flops() / n_tokens, measure(made, T).flops_per_token

    theirs, ours = counted(freeze)
    all_theirs, all_ours = counted(lambda model: None)
    # torch counts scores that a causal mask hides. Scores below the lowest adapter, which is behind
    # attention, are counted here as if they had a gradient: 2.7 % of a model of this size.
    assert ours / all_ours == pytest.approx(theirs / all_theirs, rel=0.03)
