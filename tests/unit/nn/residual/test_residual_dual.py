"""residual=residual_dual."""

import torch
from torch import nn

from lightning_transformer.nn.residual.residual_dual import ResidualDual
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made


def test_two_layers_by_hand() -> None:
    x = noise(2, 3, 8)
    one, two = made(ResidualDual), made(ResidualDual)
    stream = one.split_stream(x)
    assert stream.shape == (2, 3, 2, 8)
    y = two.merge_stream(two(one(stream, f), torch.tanh), nn.LayerNorm(8).double())
    u1, v1 = ln(x + f(x)), x + f(x)
    u2, v2 = ln(u1 + u1.tanh()), v1 + u1.tanh()
    torch.testing.assert_close(y, u2 + ln(v2), rtol=0, atol=1e-12)


def test_a_whole_stack_is_post_norm_and_a_sum_on_the_side() -> None:
    """Layers read what they would read with post_norm; the final norm is of what they added up."""
    post, dual = tiny("residual=post_norm").decoder, tiny("residual=residual_dual").decoder
    x, added = noise(2, 5, 32), []
    for residual in post._residuals:
        residual.dropout.register_forward_hook(lambda module, args, y: added.append(y))
    u = post(x)
    assert_near(dual(x), u + dual.final_norm(x + sum(added)))


def test_whether_a_final_norm_is_due() -> None:
    assert ResidualDual.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(ResidualDual)
