"""adapter=lora."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_transformer.nn.adapter.lora import LowRank, lora
from tests.conftest import noise, tiny


def test_the_formula_by_hand() -> None:
    low_rank = LowRank(2, 2, rank=1, scale=0.5, dropout=0.0).double()
    layer = torch.nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        low_rank.a.weight.copy_(torch.tensor([[1.0, 2.0]]))
        low_rank.b.weight.copy_(torch.tensor([[3.0], [-1.0]]))
    x, y = torch.tensor([4.0, 5.0]).double(), torch.tensor([10.0, 20.0]).double()
    # A x = 14; B A x = (42, -14); half of it is added.
    assert low_rank(layer, x, y).tolist() == [31.0, 13.0]
    assert low_rank.update().tolist() == [[1.5, 3.0], [-0.5, -1.0]]


def test_the_first_values_are_those_of_a_linear_layer_and_zero() -> None:
    model = tiny()
    trained = lora(model, seed=1, rank=4).trained
    assert trained is not None
    a, b = trained[0], trained[1]
    bound = 1 / 32**0.5
    assert float(b.abs().max()) == 0
    assert 0.9 * bound < float(a.abs().max()) <= bound
    assert float(a.std()) == pytest.approx(bound / 3**0.5, rel=0.15)


def test_dropout_acts_on_the_way_of_the_update_alone() -> None:
    low_rank = LowRank(8, 8, rank=2, scale=1.0, dropout=0.5).double()
    layer, x, y = torch.nn.Linear(8, 8), noise(3, 8), noise(3, 8, seed=1)
    torch.manual_seed(0)
    adapted = low_rank(layer, x, y)
    torch.manual_seed(0)
    kept = torch.nn.functional.dropout(x, 0.5)
    torch.testing.assert_close(adapted, y + low_rank.b(low_rank.a(kept)))
    low_rank.eval()
    torch.testing.assert_close(low_rank(layer, x, y), y + low_rank.b(low_rank.a(x)))


def test_targets_are_last_parts_of_names_without_numbers() -> None:
    model = tiny("activation=swiglu")
    lora(model, seed=1, rank=2, targets=["up", "q"])
    adapted = {name.rpartition(".adapter.a.weight")[0] for name, _ in model.named_parameters()}
    layers = ("attention.q", "ffn.up.0", "ffn.up.1")
    assert adapted - {""} == {f"decoder.blocks.{n}.{layer}" for n in (0, 1) for layer in layers}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rank": 0}, r"^rank=0 must be at least 1"),
        ({"rank": 33}, r"^adapter\.rank=33 is above the width 32 of .*; at most adapter\.rank=32$"),
        ({"alpha": 0.0}, r"^alpha=0\.0 must be a positive number, for example 16\.0$"),
        ({"dropout": 1.0}, r"^dropout=1\.0 must be at least 0 and below 1"),
        ({"targets": ["qq"]}, r"^adapter\.targets=qq matches no layer .*\[down,k,out,q,up,v\]$"),
        ({"targets": []}, r"^adapter\.targets=\[\] must be a list of names, such as \[q,v\]$"),
        ({"lr_mult": 0.0}, r"^adapter\.lr_mult=0\.0 must be a positive number, for example 10"),
        ({"targets": "q"}, r"^adapter\.targets=q must be a list of names"),
    ],
)
def test_refuses(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lora(tiny(), seed=1, **given)
