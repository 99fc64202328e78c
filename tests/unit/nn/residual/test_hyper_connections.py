"""residual=hyper_connections."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.models.size import measure
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.hyper_connections import HyperConnections
from tests.conftest import noise, tiny
from tests.unit.nn.residual.parts import assert_dropout, assert_near, f, ln, made, parameters

N = 3


def by_loops(layer: HyperConnections, x: Tensor) -> Tensor:
    """One token at a time, number by number, as the paper's equations 2 to 5 and 10 to 13 read."""
    y = torch.empty_like(x)
    for b, t in torch.cartesian_prod(torch.arange(x.shape[0]), torch.arange(x.shape[1])).tolist():
        streams = x[b, t]
        numbers = layer.static.view(N, N + 2).clone()
        if layer.dynamic:
            for i in range(N):
                for j in range(N + 2):
                    size = layer.sizes[1 if j == N + 1 else 0]
                    numbers[i, j] += size * torch.dot(ln(streams[i]), layer.weight[:, j]).tanh()
        h = sum(numbers[i, 0] * streams[i] for i in range(N))
        out = f(ln(h))
        for j in range(N):
            kept = sum(numbers[i, 1 + j] * streams[i] for i in range(N))
            y[b, t, j] = kept + numbers[j, N + 1] * out
    return y


def moved(**options: Any) -> Any:
    """With learned numbers that are none of those that it starts with."""
    layer = made(HyperConnections, n_streams=N, **options)
    for seed, name in enumerate(["static", "weight", "sizes"]):
        if hasattr(layer, name):
            parameter = getattr(layer, name)
            parameter.data.copy_(noise(*parameter.shape, seed=seed))
    return layer


@pytest.mark.parametrize("dynamic", [True, False])
def test_formula(dynamic: bool) -> None:
    layer, x = moved(dynamic=dynamic), noise(2, 4, N, 8, seed=9)
    with torch.no_grad():
        assert_near(layer(x, f), by_loops(layer, x))


def test_streams_enter_as_copies_and_leave_as_their_sum() -> None:
    layer, x = made(HyperConnections, n_streams=N), noise(2, 4, 8)
    assert torch.equal(layer.split_stream(x), torch.stack([x] * N, dim=2))
    wide = noise(2, 4, N, 8)
    assert_near(layer.merge_stream(wide, nn.LayerNorm(8).double()), ln(wide.sum(2)))


@pytest.mark.parametrize("layer", [0, 1, 5])
def test_it_reads_the_stream_of_its_number_keeps_all_and_adds_to_all(layer: int) -> None:
    residual = made(HyperConnections, LayerInfo(layer=layer, n_layers=6), n_streams=N)
    x = noise(2, 4, N, 8)
    assert_near(residual(x, f), x + f(ln(x[:, :, layer % N])).unsqueeze(2))


def test_a_model_starts_as_pre_norm() -> None:
    wide, plain = (tiny(f"residual={r}").decoder for r in ("hyper_connections", "pre_norm"))
    x = noise(2, 5, 32)
    # Of n times the stream, which leaves the eps of the last norm less to say.
    torch.testing.assert_close(wide(x), plain(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("dynamic", "extra"), [(False, 0), (True, 16 + 8 * (N + 2) + 2)])
def test_parameters(dynamic: bool, extra: int) -> None:
    layer = made(HyperConnections, n_streams=N, dynamic=dynamic)
    assert sum(p.numel() for p in layer.parameters()) == 16 + N * (N + 2) + extra
    assert all(parameters(layer).values()), "FSDP shards no parameter without a dimension"


@pytest.mark.parametrize(("dynamic", "numbers"), [("false", 20), ("true", 20 + 24)])
def test_flops(dynamic: str, numbers: int) -> None:
    """Streams are mixed by n (n + 1) numbers; if dynamic, n (n + 2) come from D features each."""
    wide = tiny("residual=hyper_connections", f"residual.dynamic={dynamic}")
    more = measure(wide, 16).flops_per_token - measure(tiny(), 16).flops_per_token
    assert more == pytest.approx(3 * 4 * 2 * 32 * numbers, rel=1e-9)


def test_the_stream_keeps_its_precision_where_layers_have_less() -> None:
    layer = HyperConnections(8, norm=LayerNorm, n_streams=N)
    x = noise(2, 4, N, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x, lambda h: 0 * h.bfloat16())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, x, rtol=0, atol=1e-6)


def test_whether_a_final_norm_is_due() -> None:
    assert HyperConnections.needs_final_norm is True


def test_dropout() -> None:
    assert_dropout(HyperConnections)


def test_refuses_no_streams() -> None:
    with pytest.raises(ValueError, match=r"^n_streams=0 must be at least 1"):
        HyperConnections(8, norm=LayerNorm, n_streams=0)
