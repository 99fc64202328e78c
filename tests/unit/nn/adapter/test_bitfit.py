"""adapter=bitfit."""

import pytest

from lightning_transformer.nn.adapter.base import train_only
from lightning_transformer.nn.adapter.bitfit import bitfit
from tests.conftest import tiny


def test_biases_of_layers_and_norms_are_trained() -> None:
    model = tiny("attention.bias=true", "ffn.bias=true", "norm=layernorm", "qk_norm=none")
    train_only(model, bitfit(model, seed=1).trained or (), new=())
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == [name for name, _ in model.named_parameters() if name.endswith(".bias")]
    assert "decoder.blocks.0.attention_residual.norm.bias" in trained


def test_a_model_without_biases_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no layer of this model has a bias; use adapter=lora$"):
        bitfit(tiny(), seed=1)
