"""residual=sandwich."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.sandwich import Sandwich
from tests.conftest import noise


def f(x: Tensor) -> Tensor:
    return (x * 3).sin() + 0.5


def test_formula() -> None:
    x = noise(2, 3, 8)
    wanted = x + F.layer_norm(f(F.layer_norm(x, (8,))), (8,))
    y = Sandwich(8, norm=LayerNorm).double()(x, f)
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


def test_whether_a_final_norm_is_due() -> None:
    assert Sandwich.needs_final_norm is True


def test_dropout_acts_on_what_is_added_and_in_training_only() -> None:
    torch.manual_seed(0)
    x = noise(4, 50, 8)
    layer = Sandwich(8, norm=LayerNorm, dropout=0.5).double()
    layer.eval()
    assert torch.equal(layer(x, f), Sandwich(8, norm=LayerNorm).double()(x, f))
    layer.train()
    assert not torch.equal(layer(x, f), layer(x, f))


def test_refuses_dropout_of_one() -> None:
    with pytest.raises(ValueError, match=r"^dropout=1.0 must be at least 0 and below 1"):
        Sandwich(8, norm=LayerNorm, dropout=1.0)
