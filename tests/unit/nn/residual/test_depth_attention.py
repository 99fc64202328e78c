"""residual=depth_attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.models.size import measure
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.depth_attention import DepthAttention, DepthRead
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made, parameters


def read(outputs: list[Tensor], w: Tensor, eps: float = 1e-6) -> Tensor:
    """One token: outputs (D,) each; number by number."""
    scores = [float(w @ v) / (float(v @ v) / len(v) + eps) ** 0.5 for v in outputs]
    weights = torch.tensor(scores, dtype=torch.float64).exp()
    weights = weights / weights.sum()
    return sum(a * v for a, v in zip(weights, outputs, strict=True))  # type: ignore[return-value]


def by_loops(x: Tensor, queries: list[Tensor]) -> Tensor:
    """Two layers f and tanh around tokens x (B, T, D), and the read at the end."""
    y = torch.empty_like(x)
    for b, t in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[1])).tolist():
        outputs = [x[b, t]]
        for layer, w in zip((f, torch.tanh), queries, strict=False):
            outputs.append(layer(ln(read(outputs, w))))
        y[b, t] = ln(read(outputs, queries[2]))
    return y


def test_two_layers_by_loops() -> None:
    x, queries = noise(2, 3, 8), [noise(8, seed=seed) for seed in (1, 2, 3)]
    layers: list[Any] = [made(DepthAttention), made(DepthAttention)]
    end: Any = layers[1].new_final_read(2).double()
    with torch.no_grad():
        for module, w in zip((layers[0].read, layers[1].read, end), queries, strict=True):
            module.query.copy_(w)
        stream = layers[1](layers[0](layers[0].split_stream(x), f), torch.tanh)
        assert stream.shape == (2, 3, 3, 8)
        y = layers[1].merge_stream(end(stream), nn.LayerNorm(8).double())
    assert_near(y, by_loops(x, queries))


def test_it_starts_with_the_plain_mean() -> None:
    x = noise(2, 3, 5, 8)
    assert_near(made(DepthAttention)(x, f)[:, :, -1], f(ln(x.mean(dim=2))))
    assert_near(DepthRead(8, eps=1e-6).double()(x), x.mean(dim=2))


def test_a_stack_has_a_query_for_each_addition_and_one_for_the_end() -> None:
    model: Any = tiny("residual=depth_attention")
    names = [name for name in parameters(model) if name.endswith("query")]
    assert len(names) == model.decoder.n_residuals + 1
    assert names[-1] == "decoder.final_read.query"


@pytest.mark.parametrize(
    ("overrides", "streams"),
    [
        ((), range(1, 6)),  # two layers of two additions
        (("block=parallel",), range(1, 4)),
        (("layer_sharing=looped",), range(1, 10)),
    ],
)
def test_flops(overrides: tuple[str, ...], streams: range) -> None:
    """n scores and a sum of n outputs, 2 n D each, for every read of the stack."""
    deep, plain = tiny("residual=depth_attention", *overrides), tiny(*overrides)
    more = measure(deep, 16).flops_per_token - measure(plain, 16).flops_per_token
    assert more == pytest.approx(3 * sum(4 * n * 32 for n in streams), rel=1e-9)


def test_the_stream_keeps_its_precision_where_layers_have_less() -> None:
    layer, x = DepthAttention(8, norm=LayerNorm), noise(2, 4, 3, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x, lambda h: h.bfloat16())
        end = layer.new_final_read(2)(x)
    assert (y.dtype, end.dtype) == (torch.float32, torch.float32)
    assert torch.equal(y[:, :, :3], x)
    torch.testing.assert_close(end, x.mean(dim=2), rtol=0, atol=1e-6)


def test_layers_are_not_left_out_of_rows() -> None:
    with pytest.raises(
        ValueError, match=r"^model.stochastic_depth=0.1 .*use 0, or residual=pre_norm"
    ) as caught:
        tiny("residual=depth_attention", "model.stochastic_depth=0.1")
    assert "\n" not in str(caught.value)


def test_whether_a_final_norm_is_due() -> None:
    assert DepthAttention.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(DepthAttention)


def test_refuses_eps() -> None:
    with pytest.raises(ValueError, match=r"^eps=0.0 must be a positive number"):
        DepthAttention(8, norm=LayerNorm, eps=0.0)
