"""What every layer keeps that carries a state along the row: linear, mamba2, gated_deltanet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.linear import ResidualOut
from lightning_transformer.nn.recurrent.gated_deltanet import GatedDeltaNet
from lightning_transformer.nn.recurrent.linear import LinearAttention
from lightning_transformer.nn.recurrent.mamba2 import Mamba2
from tests.conftest import noise
from tests.helpers.variants import built_class, without_scores

EXACT = 1e-10  # between two orders of the same float64 arithmetic
D, T = 16, 11
KINDS = tuple(built_class("attention", name) for name in without_scores())
CAUSAL = AttentionContext(is_causal=True)
# Of two rows: pads on the left, on the right, between, all over, none; a row of pads alone.
PADDINGS = (
    ("11100000000", "00000000000"),
    ("00000000011", "00000001111"),
    ("00110001000", "10101010101"),
    ("11111111111", "00000000001"),
)


def layer(kind: Any, chunk_size: int = 4, dim: int = D, **options: Any) -> Any:
    """One in float64, with weights at which every part is heard."""
    module = kind(dim, chunk_size=chunk_size, **options)
    initialise(module, Normal(std=0.3), 0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * noise(*parameter.shape, seed=parameter.numel()).float()
    return module.double().eval()


def near(a: Tensor, b: Tensor, tolerance: float = EXACT) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


def padding_of(rows: tuple[str, ...]) -> Tensor:
    return torch.tensor([[c == "1" for c in row] for row in rows])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_size", [2, 3, 4, 5, 11, 64])
def test_chunks_change_nothing(kind: Any, chunk_size: int) -> None:
    """With chunks of one token it is the recurrence itself; gradients are equal as well."""
    results = []
    for size in (1, chunk_size):
        module, x = layer(kind, size), noise(2, T, D).requires_grad_()
        y = module(x, CAUSAL)
        (y * noise(2, T, D, seed=1)).sum().backward()
        results.append([y, x.grad, *(p.grad for p in module.parameters())])
    for one, other in zip(*results, strict=True):
        assert near(one, other, 1e-9 * (1 + float(one.detach().abs().max())))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", PADDINGS)
@pytest.mark.parametrize("causal", [True, False])
def test_pads_are_as_if_absent(kind: Any, rows: tuple[str, ...], causal: bool) -> None:
    if not causal and kind is not LinearAttention:
        with pytest.raises(ValueError, match="sees only the past"):
            layer(kind).configure_layer(LayerInfo(causal=False))
        return
    module, x, padding = (
        layer(kind).configure_layer(LayerInfo(causal=causal)),
        noise(2, T, D),
        padding_of(rows),
    )
    context = AttentionContext(padding=padding)
    y = module(x, context)
    assert y.isfinite().all()
    hidden = module(x.masked_fill(padding[..., None], 7.0), context)
    for row in range(2):
        real = ~padding[row]
        assert torch.equal(hidden[row, real], y[row, real]), "what pads hold is heard"
        if real.any():
            assert near(y[row, real], module(x[row : row + 1, real], CAUSAL)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", PADDINGS)
def test_decoding_after_padded_prompts(kind: Any, rows: tuple[str, ...]) -> None:
    """The first seven tokens of each row at once, the rest one by one; pads wherever they are."""
    module, x, padding = layer(kind), noise(2, T, D), padding_of(rows)
    cache = module.new_cache(T)
    cuts = [(0, 7), *((t, t + 1) for t in range(7, T))]
    parts = [
        module(x[:, a:b], AttentionContext(padding=padding[:, a:b]), cache=cache) for a, b in cuts
    ]
    y = torch.cat(parts, dim=1)
    for row in range(2):
        real = ~padding[row]
        if real.any():
            assert near(y[row, real], module(x[row : row + 1, real], CAUSAL)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [(0, 11), (0, 1, 2, 3), (0, 2, 7), (0, 5, 6, 10)])
def test_a_cache_continues_a_row(kind: Any, cuts: tuple[int, ...]) -> None:
    module, x = layer(kind), noise(2, T, D)
    cache = module.new_cache(T)
    ends = (*cuts[1:], T)
    parts = [
        module(x[:, a:b], CAUSAL, cache=cache) for a, b in zip(cuts, ends, strict=True) if b > a
    ]
    assert near(torch.cat(parts, dim=1), module(x, CAUSAL))


def test_a_cache_does_not_grow() -> None:
    for kind in KINDS:
        module, sizes = layer(kind), []
        cache = module.new_cache(0)
        for _ in range(3):
            module(noise(2, T, D), CAUSAL, cache=cache)
            held = (cache.state, cache.tail)
            sizes.append(sum(x.numel() for x in held if x is not None))
        assert sizes[0] == sizes[1] == sizes[2] > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk_size", [1, 2, 4, 64])
@pytest.mark.parametrize("causal", [True, False])
def test_documents_do_not_see_each_other(kind: Any, chunk_size: int, causal: bool) -> None:
    if not causal and kind is not LinearAttention:
        return  # refused, see above
    module = layer(kind, chunk_size).configure_layer(LayerInfo(causal=causal))
    documents = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2], [5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 9]])
    x = noise(2, T, D).requires_grad_()
    y = module(x, AttentionContext(documents=documents))
    for row in range(2):
        for number in documents[row].unique():
            mine = documents[row] == number
            assert near(y[row, mine], module(x[row : row + 1, mine], CAUSAL)[0])
    y[0, 4:7].sum().backward()
    # Decays of other documents cancel in the sum of logarithms: to 16 digits, not to the bit.
    assert x.grad[0, documents[0] != 1].abs().max() < 1e-15, "a gradient crosses"
    assert x.grad[0, 4:7].any()


def _error(y: Tensor, exact: Tensor) -> float:
    return float(((y.double() - exact).norm() / exact.norm()).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_lower_precision_is_near(kind: Any) -> None:
    """float32 within 1e-5 of the largest number; bfloat16, which has 8 bits, within 3 percent."""
    x = noise(2, 200, D)
    exact = layer(kind, 64)(x, CAUSAL)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.03)):
        y = layer(kind, 64).to(dtype)(x.to(dtype), CAUSAL)
        assert y.dtype == dtype
        assert _error(y, exact) < tolerance
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(kind, 64).float()(x.float(), CAUSAL)
    assert _error(y, exact) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_long_decays_stay_finite(kind: Any) -> None:
    """Where a step forgets all, exp(-10000), or nothing is known: no inf - inf, no 0 / 0."""
    module = layer(kind, 8).float()
    for size in (0.0, 1e3):
        x = (size * noise(2, T, D)).float().requires_grad_()
        y = module(x, CAUSAL)
        y.sum().backward()
        assert y.isfinite().all()
        assert x.grad.isfinite().all()


def _flops(module: Any, n_tokens: int, context: AttentionContext = CAUSAL) -> int:
    """What torch counts of a forward pass; it does not know of triangular systems."""

    def solving(a: Any, b: Any, **_: Any) -> int:
        return a.numel() * b.shape[-1]  # half of the square, 2 FLOPs each

    counter = FlopCounterMode(
        display=False,
        custom_mapping={torch.ops.aten.linalg_solve_triangular: _shapes(solving)},
    )
    x = torch.zeros(1, n_tokens, D)
    with torch.no_grad(), counter:
        module(x, context)
    return counter.get_total_flops()


def _shapes(count: Any) -> Any:
    count._get_raw = True  # the counter then gives tensors, not their shapes
    return count


def _linear_flops(module: Any) -> int:
    return sum(2 * m.weight.numel() for m in module.modules() if isinstance(m, torch.nn.Linear))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_tokens", "chunk_size"), [(5, 64), (64, 64), (256, 64), (128, 16)])
def test_flops_are_those_that_torch_counts(kind: Any, n_tokens: int, chunk_size: int) -> None:
    module = layer(kind, chunk_size).float()
    keys = (n_tokens + 1) / 2  # what a query of a causal row sees on average
    told = n_tokens * (_linear_flops(module) + module.flops(keys))
    assert _flops(module, n_tokens) == told


@pytest.mark.parametrize("kind", KINDS)
def test_work_grows_as_the_row(kind: Any) -> None:
    """FLOPs exactly; calls of torch by as many for each chunk, far fewer than tokens."""
    module = layer(kind, 64).float()
    assert 16 * _flops(module, 256) == _flops(module, 4096)
    calls = [_calls(module, n) for n in (256, 512, 1024)]
    assert calls[2] - calls[1] == 2 * (calls[1] - calls[0])
    assert calls[2] - calls[1] < 512 / 8


class _Counter(TorchDispatchMode):
    n = 0

    def __torch_dispatch__(self, f: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += 1
        return f(*args, **(kwargs or {}))


def _calls(module: Any, n_tokens: int) -> int:
    with torch.no_grad(), _Counter() as counter:
        module(torch.zeros(1, n_tokens, D), CAUSAL)
    return counter.n


@pytest.mark.parametrize("kind", [Mamba2, GatedDeltaNet])
def test_what_cannot_work_is_refused(kind: Any) -> None:
    module = layer(kind)
    assert module.configure_layer(LayerInfo()) is module
    with pytest.raises(ValueError, match=rf"^attention={kind.option} sees only the past, [^\n]*$"):
        module.configure_layer(LayerInfo(causal=False))
    with pytest.raises(ValueError, match=rf"^attention={kind.option} cannot read a source[^\n]*$"):
        module.configure_layer(LayerInfo(causal=False, cross=True))


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_model_asks(kind: Any) -> None:
    module = kind(D)
    assert module.has_scores is False
    assert (module.n_heads, type(module.out)) == (4, ResidualOut)
    with pytest.raises(ValueError, match=r"^[\w.* ]+=18 is not divisible by attention.n_heads=4"):
        kind(18) if kind is not Mamba2 else kind(9, expand=2)
    with pytest.raises(ValueError, match="chunk_size=0 must be at least 1"):
        kind(D, chunk_size=0)


@pytest.mark.parametrize("kind", [Mamba2, GatedDeltaNet])
def test_initial_weights_follow_the_seed(kind: Any) -> None:
    one, two, other = kind(D), kind(D), kind(D)
    for module, seed in ((one, 1), (two, 1), (other, 2)):
        initialise(module, Normal(), seed)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name)), name
        constant = name in ("skip", "gain", "conv.bias")
        assert constant == torch.equal(parameter, other.get_parameter(name)), name
    step = torch.nn.functional.softplus(one.dt_bias)
    assert ((step > 0.99e-3) & (step < 0.101)).all()
    rate = one.A_log.exp()
    assert ((rate > 0.0099) & (rate < 16.01)).all()
    assert one.conv.weight.abs().max() <= 0.5
    assert 0.2 < one.conv.weight.std() < 0.4  # 1 / sqrt(3) of the half of a side
