"""residual=deepnorm."""

import pytest

from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.residual.deepnorm import DeepNorm
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made

# Worked out by hand from table 2 of the paper: 2 * 8 = 16 = 2^4; 3 * 27 = 81 = 3^4;
# (16^4 * 1)^(1/16) = 2; (2^4 * 16)^(1/16) = 2^(1/2).
PLACES = [
    (LayerInfo(n_layers=8), 2.0),
    (LayerInfo(layer=7, n_layers=8, causal=False), 2.0),
    (LayerInfo(n_layers=27, reads_source=True), 3.0),
    (LayerInfo(n_layers=16, causal=False, n_readers=1), 0.81 * 2),
    (LayerInfo(n_layers=2, causal=False, n_readers=16), 0.81 * 2**0.5),
]


@pytest.mark.parametrize(("info", "alpha"), PLACES)
def test_formula(info: LayerInfo, alpha: float) -> None:
    x = noise(2, 3, 8)
    assert_near(made(DeepNorm, info)(x, f), ln(alpha * x + f(x)))


def test_both_stacks_of_an_encoder_decoder() -> None:
    model = tiny(
        "model=encoder_decoder",
        "residual=deepnorm",
        "model.n_encoder_layers=3",
        "model.n_decoder_layers=2",
    )
    encoder = [residual.alpha for residual in model.encoder._residuals]
    decoder = [residual.alpha for residual in model.decoder._residuals]
    assert encoder == pytest.approx([0.81 * (3**4 * 2) ** (1 / 16)] * 6, rel=1e-12)
    assert decoder == pytest.approx([6**0.25] * 6, rel=1e-12)


def test_whether_a_final_norm_is_due() -> None:
    assert DeepNorm.needs_final_norm is False


def test_dropout() -> None:
    assert_dropout(DeepNorm)
