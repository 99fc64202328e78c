"""residual=rezero."""

import torch

from lightning_transformer.nn.residual.rezero import ReZero
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import (
    assert_dropout,
    assert_near,
    f,
    ln,
    made,
    parameters,
    unnormed,
)


def test_it_begins_as_the_identity() -> None:
    x = noise(2, 3, 8)
    assert torch.equal(made(ReZero)(x, f), x)


def test_formula() -> None:
    layer, x = made(ReZero), noise(2, 3, 8)
    layer.a.data.fill_(-0.3)
    assert_near(layer(x, f), x - 0.3 * f(ln(x)))


def test_as_in_the_paper_without_norms() -> None:
    layer, x = unnormed(ReZero), noise(2, 3, 8)
    layer.a.data.fill_(-0.3)
    assert_near(layer(x, f), x - 0.3 * f(x))
    assert parameters(layer) == {"a": (1,)}


def test_a_model_without_norms_begins_as_its_embeddings_and_learns_all_factors() -> None:
    model = tiny("residual=rezero", "norm=none", "qk_norm=none")
    x = noise(2, 5, 32)
    assert torch.equal(model.decoder(x), x)
    (model.decoder(x) * noise(2, 5, 32, seed=1)).sum().backward()
    factors = [p for name, p in model.decoder.named_parameters() if name.endswith("residual.a")]
    assert len(factors) == 4
    assert all(p.grad is not None and bool(p.grad.any()) for p in factors)


def test_whether_a_final_norm_is_due() -> None:
    assert ReZero.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(ReZero)
