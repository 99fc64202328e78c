"""adapter=dora."""

import pytest
import torch
from torch import nn

from lightning_transformer.nn.adapter.dora import Decomposed, dora
from tests.conftest import noise, tiny


def test_the_formula_in_float64() -> None:
    layer, adapter = nn.Linear(5, 4).double(), Decomposed(5, 4, 2, scale=0.7, dropout=0.0).double()
    with torch.no_grad():
        for number, parameter in enumerate((*layer.parameters(), *adapter.parameters())):
            parameter.copy_(noise(*parameter.shape, seed=number))
    x = noise(3, 5, seed=9)
    weight = layer.weight + 0.7 * adapter.b.weight @ adapter.a.weight
    rows = [adapter.length[i] * weight[i] / weight[i].square().sum().sqrt() for i in range(4)]
    expected = x @ torch.stack(rows).T + layer.bias
    torch.testing.assert_close(adapter(layer, x, layer(x)), expected, rtol=1e-12, atol=1e-12)


def test_lengths_start_as_those_of_the_rows() -> None:
    model = tiny()
    dora(model, seed=1, rank=2)
    layer = model.decoder.blocks[0].attention.q  # type: ignore[operator, union-attr]
    torch.testing.assert_close(layer.adapter.length, layer.weight.square().sum(1).sqrt())


def test_refuses_no_rank() -> None:
    with pytest.raises(ValueError, match=r"^rank=0 must be at least 1"):
        dora(tiny(), seed=1, rank=0)
