"""position=kerple."""

import math

import torch

from lightning_transformer.nn.position.kerple import Kerple


def test_bias_by_hand() -> None:
    position = Kerple(d_model=8, n_heads=2, head_dim=4, max_len=8).double()
    with torch.no_grad():
        position.log_s.copy_(torch.tensor([0.0, math.log(3.0)]))
    places = torch.arange(3)
    bias = position.bias(places, places).tolist()
    for head, (r, s) in enumerate([(2.0**-4, 1.0), (2.0**-8, 3.0)]):
        for i in range(3):
            for j in range(3):
                wanted = -r * math.log(1 + s * abs(i - j))
                assert math.isclose(bias[head][i][j], wanted, abs_tol=1e-7)


def test_acts_on_scores() -> None:
    assert Kerple(d_model=8, n_heads=2, head_dim=4, max_len=8).acts_on_scores
