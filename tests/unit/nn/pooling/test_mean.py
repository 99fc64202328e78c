"""pooling=mean."""

import torch

from lightning_transformer.nn.pooling.mean import MeanPooling
from tests.conftest import noise


def test_mean_of_the_real_positions() -> None:
    x = noise(2, 3, 4)
    padding = torch.tensor([[False, False, True], [False, True, True]])
    wanted = torch.stack(((x[0, 0] + x[0, 1]) / 2, x[1, 0]))
    torch.testing.assert_close(MeanPooling()(x, padding), wanted, rtol=0, atol=1e-12)


def test_needs_no_extra_token() -> None:
    assert MeanPooling.n_extra_tokens == 0


def test_a_row_of_pads_gives_zeros() -> None:
    y = MeanPooling()(noise(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
    assert torch.equal(y, torch.zeros(1, 3, dtype=torch.float64))
