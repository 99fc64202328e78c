"""residual=ln_scaling."""

import pytest

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.ln_scaling import LNScaling
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made


@pytest.mark.parametrize(("layer", "root"), [(0, 1.0), (3, 2.0), (8, 3.0)])
def test_formula(layer: int, root: float) -> None:
    x = noise(2, 3, 8)
    y = made(LNScaling, LayerInfo(layer=layer, n_layers=9))(x, f)
    assert_near(y, x + f(ln(x) / root))


def test_layers_of_a_model_count_from_one() -> None:
    model = tiny("residual=ln_scaling", "model.n_layers=4")
    found = [residual.scale**-2 for residual in model.decoder._residuals]
    assert found == pytest.approx([1, 1, 2, 2, 3, 3, 4, 4], rel=1e-12)


def test_refuses_layers_that_share_a_block() -> None:
    with pytest.raises(
        ValueError, match=r"^residual=ln_scaling differs between layers.*layer_sharing=none$"
    ):
        made(LNScaling, LayerInfo(layer=0, n_layers=2, n_runs=2))


def test_whether_a_final_norm_is_due() -> None:
    assert LNScaling.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(LNScaling)
