"""norm=none and qk_norm=none."""

import torch

from lightning_transformer.nn.norm.none import NoNorm
from tests.conftest import noise


def test_changes_nothing_and_has_no_weights() -> None:
    x, norm = noise(2, 3, 4), NoNorm(4)
    assert torch.equal(norm(x), x)
    assert list(norm.parameters()) == []
