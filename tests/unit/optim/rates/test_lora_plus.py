"""rates=lora_plus."""

from functools import partial

import pytest
from torch import nn

from lightning_transformer.nn.adapter.base import train_only
from lightning_transformer.nn.adapter.lora import lora
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.rates.lora_plus import lora_plus
from tests.conftest import tiny


def test_b_learns_faster_than_a() -> None:
    model = tiny("tie_embeddings=false")
    train_only(model, lora(model, seed=1, rank=2).trained or (), new=["task.head.weight"])
    model.updates.rates = partial(lora_plus, ratio=4.0)
    names = {id(p): name for name, p in model.named_parameters()}
    for group in adamw(model, lr=0.1).param_groups:
        wanted = 0.4 if all(".adapter.b." in names[id(p)] for p in group["params"]) else 0.1
        assert group["lr"] == pytest.approx(wanted)
        kinds = {".adapter.b." in names[id(p)] for p in group["params"]}
        assert len(kinds) == 1


def test_refuses_a_model_without_low_rank_updates() -> None:
    with pytest.raises(ValueError, match=r"^rates=lora_plus finds no low-rank update, .*=equal$"):
        lora_plus(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"^rates\.ratio=0\.0 must be a positive number"):
        lora_plus(nn.Linear(2, 2), ratio=0.0)
