"""adapter=ia3."""

import pytest

from lightning_transformer.nn.adapter.ia3 import InputFactors, OutputFactors, ia3
from tests.conftest import tiny


def test_outputs_of_keys_and_values_and_inputs_of_down_have_factors() -> None:
    model = tiny()
    trained = ia3(model, seed=1).trained
    assert trained is not None
    kinds = [type(m) for m in model.modules() if isinstance(m, OutputFactors | InputFactors)]
    assert (kinds.count(OutputFactors), kinds.count(InputFactors)) == (4, 2)
    hidden = model.decoder.blocks[0].ffn.down.in_features  # type: ignore[operator, union-attr]
    assert sorted(p.numel() for p in trained) == sorted([32] * 4 + [hidden] * 2)
    assert all(bool((p == 1).all()) for p in trained)


def test_a_layer_is_scaled_once() -> None:
    with pytest.raises(ValueError, match=r"^adapter\.inner=v is in adapter\.targets too; name it"):
        ia3(tiny(), seed=1, inner=["v"])


def test_inner_may_be_empty() -> None:
    assert len(ia3(tiny(), seed=1, inner=[]).trained or ()) == 4
