"""init=orthogonal."""

import pytest
import torch

from lightning_transformer.nn.init.orthogonal import Orthogonal
from tests.unit.nn.init.drawing import assert_normal, draw


@pytest.mark.parametrize("role", ["linear", "residual_out", "head"])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (50, 50)])
def test_rows_or_columns_are_orthogonal(role: str, shape: tuple[int, int]) -> None:
    weight = draw(Orthogonal(gain=2.0), role, shape).double()
    small = weight.T @ weight if shape[0] > shape[1] else weight @ weight.T
    torch.testing.assert_close(small, 4 * torch.eye(min(shape)).double(), rtol=0, atol=1e-5)


def test_embeddings_have_their_own() -> None:
    assert_normal(draw(Orthogonal(embedding_std=0.7), "embedding"), 0.7)


@pytest.mark.parametrize("name", ["gain", "embedding_std"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=0.0 must be a positive number"):
        Orthogonal(**{name: 0.0})
