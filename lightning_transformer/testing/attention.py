"""Contracts of what decides where attention looks."""

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext, ForwardCache
from lightning_transformer.nn.attention.kernels.base import Kernel, LimitedTraining
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.pattern.base import Causal, Pattern
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.types import LayerFactory
from lightning_transformer.nn.types import ModuleFactory as Factory
from lightning_transformer.testing.common import (
    SECOND,
    B,
    D,
    H,
    K,
    Run,
    S,
    T,
    V,
    check_gradients,
    check_layer,
    check_residual_out,
    finite,
    fresh,
    near,
    noise,
    require,
    steps,
)


def check_position(factory: Factory) -> None:
    """factory(d_model=, n_heads=, head_dim=, max_len=): hooks that fit each other and a cache."""

    def make() -> Any:
        return factory(d_model=D, n_heads=H, head_dim=K, max_len=T)

    require(isinstance(make(), PositionEncoding), "position: must be a PositionEncoding")
    _check_hooks(type(make()))
    x, heads, places = noise(B, T, D), noise(B, H, T, K), torch.arange(T)
    check_layer("position: embed", make, x, _embedded(places), gradients=False)
    check_layer("position: rotate", make, heads, _rotated(places), gradients=False)
    check_layer("position: rotate_keys", make, heads, _rotated_keys(places), gradients=False)
    module = fresh(make).double()
    bias = module.bias(places, places)
    total = torch.zeros(()) if bias is None else bias.sum()
    hooks = (("embed", _embedded, x), ("rotate", _rotated, heads))
    for name, run, given in (*hooks, ("rotate_keys", _rotated_keys, heads)):
        full = run(places)(module, given)
        rows = run(places.expand(B, T))(module, given)
        require(near(rows, full), f"position: {name} differs for (B, T) positions")
        late = run(places[2:])(module, given[..., 2:, :])
        require(near(late, full[..., 2:, :]), f"position: {name} depends on the row's start")
        total = total + (full * given.flip(-1)).sum()
    if bias is not None:
        require(bias.shape == (H, T, T), f"position: bias is {tuple(bias.shape)}, not (H, T, S)")
        moved, late = module.bias(places + 7, places + 7), module.bias(places[2:], places)
        require(near(moved, bias), "position: bias is not relative")
        require(near(late, bias[:, 2:]), "position: bias depends on the other queries")
    check_gradients("position", module, total)


def _check_hooks(kind: type[PositionEncoding]) -> None:
    """Hooks that nothing calls, and a flag that hides them, would be without effect in silence."""
    base = PositionEncoding
    turns = kind.rotate is not base.rotate or kind.rotate_keys is not base.rotate_keys
    alone = turns and kind.angles is base.angles
    require(not alone, "position: rotate is called with what angles gives, and there is no angles")
    derived = kind.acts_on_scores is base.acts_on_scores
    require(derived, "position: acts_on_scores is derived from angles and bias; do not set it")


def check_pattern(pattern: Pattern) -> None:
    """A frozen value; for each layer a predicate of positions that lets a query see itself."""
    twin = copy.deepcopy(pattern)
    require(twin == pattern and hash(twin) == hash(pattern), "pattern: equal copies must be equal")
    q, k = torch.arange(40)[:, None], torch.arange(40)[None, :]
    for layer in range(8):
        mask = pattern.for_layer(layer)(q, k)
        require(mask.dtype == torch.bool, f"pattern: gives {mask.dtype}, it must be bool")
        require(mask.shape == (40, 40), f"pattern: (40, 1), (1, 40) gave {tuple(mask.shape)}")
        require(bool(mask.diagonal().all()), f"pattern: layer {layer} hides a query from itself")
        late = pattern.for_layer(layer)(q[30:], k)
        require(torch.equal(late, mask[30:]), "pattern: depends on more than the two positions")
        batch = pattern.for_layer(layer)(q.expand(B, 40, 1), k.expand(B, 1, 40))
        require(torch.equal(batch, mask.expand(B, 40, 40)), "pattern: differs for (B, T, 1)")
        both = (pattern.for_layer(layer) & Causal())(q, k)
        require(torch.equal(both, mask & (k <= q)), "pattern: `& Causal()` is not both")


def check_attention(factory: LayerFactory) -> None:
    """factory(dim): obeys the context and decodes with a cache; reads a source if it has scores."""
    causal, run = AttentionContext(is_causal=True), _above(factory, SECOND)
    x, memory = noise(B, T, D), noise(B, S, D, seed=1)
    check_layer("attention", lambda: factory(D), x, lambda m, x: run(m, x, causal))
    module = fresh(lambda: factory(D)).double().eval()
    check_residual_out("attention", module)
    known = all(isinstance(getattr(module, n, None), int) for n in ("n_heads", "head_dim"))
    require(known, "attention: must say its n_heads and head_dim")
    require(isinstance(module.has_scores, bool), "attention: has_scores must be a bool")
    full = run(module, x, causal)
    require(
        near(run(module, x[:, :3], causal), full[:, :3]), "attention: is_causal sees the future"
    )
    cache = module.new_cache(T)
    outputs = [run(module, part, context, cache=cache) for part, context in steps(x)]
    require(near(torch.cat(outputs, 1), full), "attention: with a cache differs from without")
    if not module.has_scores:
        return
    tril = AttentionContext(torch.ones(T, T).tril().bool()[None, None])
    require(near(run(module, x, tril), full), "attention: is_causal differs from the same mask")
    info = replace(SECOND, cross=True, causal=False)
    module, run = fresh(lambda: factory(D), info).double().eval(), _above(factory, info)
    seen = AttentionContext(torch.tensor([True] * 3 + [False] * 2)[None, None, None])
    read = run(module, x, seen, memory=memory)
    short = run(module, x, AttentionContext(), memory=memory[:, :3])
    require(near(short, read), "attention: masked memory is seen")
    cache = module.new_cache(S)
    outputs = [run(module, part, seen, memory=memory, cache=cache) for part, _ in steps(x)]
    require(near(torch.cat(outputs, 1), read), "attention: memory from the cache differs")


def check_kernel(kernel: Kernel) -> None:
    """Equals the eager kernel for masks, biases, shared heads and queries that see nothing.

    It has gradients and dropout, or refuses both where it says that it cannot train.
    """
    trains = not _refuses(lambda: _check_training(kernel, 0.0))
    q, mask, bias = noise(B, H, T, K), noise(B, 1, T, T, seed=3) > -0.5, noise(H, T, T, seed=4)
    mask[0, 0, 2] = False  # a query that may see nothing
    contexts = {
        "no mask": AttentionContext(),
        "a mask": AttentionContext(mask),
        "is_causal": AttentionContext(is_causal=True),
        "a bias": AttentionContext(torch.ones_like(mask), bias),
        "a bias and a mask": AttentionContext(mask, bias.masked_fill(~mask, float("-inf"))),
    }
    for n_kv_heads, (name, context) in itertools.product((H, 2, 1), contexts.items()):
        case = f"kernel: with {name} and {n_kv_heads} of {H} key heads"
        k, v = noise(B, n_kv_heads, T, K, seed=1), noise(B, n_kv_heads, T, K, seed=2)
        wanted = Eager()(q, k, v, context, 0.0)
        require(near(kernel(q, k, v, context, 0.0), wanted), f"{case} differs from eager")
        for dtype in (torch.bfloat16, torch.float16):
            bits = kernel(q.to(dtype), k.to(dtype), v.to(dtype), context, 0.0)
            require(bits.dtype == dtype, f"{case} turns {dtype} into {bits.dtype}")
            require(near(bits.double(), wanted, 0.05), f"{case} is off in {dtype}")
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        if not trains:
            refused = _refuses(partial(kernel, leaves[0], leaves[1], leaves[2], context, 0.0))
            require(refused, f"{case} takes what needs a gradient, and says it cannot train")
            continue
        kernel(leaves[0], leaves[1], leaves[2], context, 0.0).sum().backward()
        require(all(finite(x.grad) for x in leaves), f"{case} has no finite gradient")
    ones = torch.ones(B, H, 200, K)
    if _refuses(lambda: _check_training(kernel, 0.5)):
        refused = _refuses(lambda: kernel(ones, ones, ones, AttentionContext(), 0.5))
        require(refused, "kernel: takes dropout, and says it cannot")
        return
    dropped = kernel(ones, ones, ones, AttentionContext(), 0.5)
    require(not near(dropped, ones, 1e-3), "kernel: dropout does nothing")
    require(abs(float(dropped.mean()) - 1) < 0.05, "kernel: dropout changes the mean")


def _check_training(kernel: Kernel, dropout: float) -> None:
    if isinstance(kernel, LimitedTraining):
        kernel.check_training("cpu", dropout)


def _refuses(run: Callable[[], object]) -> bool:
    try:
        run()
    except ValueError:
        return True
    return False


def _above(factory: LayerFactory, info: LayerInfo) -> Callable[..., Tensor]:
    """Call a layer as the second of a stack, where the first has left what it carries.

    Tokens have the ids that their vectors give, the same wherever they stand.
    """
    first = fresh(lambda: factory(D), replace(info, layer=0)).eval()

    def run(module: Any, x: Tensor, context: AttentionContext, **given: Any) -> Tensor:
        ids = (1000 * x[..., 0].abs()).long() % V
        context = replace(context, shared=ForwardCache(), ids=ids)
        with torch.no_grad():
            first.to(x.dtype)(x, context, memory=given.get("memory"))
        y = module(x, context, **given)
        assert isinstance(y, Tensor)
        return y

    return run


def _embedded(places: Tensor) -> Run:
    return lambda module, x: module.embed(x, places)


def _rotated(places: Tensor) -> Run:
    def run(module: Any, heads: Tensor) -> Tensor:
        angles = module.angles(places)
        return heads if angles is None else module.rotate(heads, angles)

    return run


def _rotated_keys(places: Tensor) -> Run:
    def run(module: Any, heads: Tensor) -> Tensor:
        angles = module.angles(places)
        return heads if angles is None else module.rotate_keys(heads, angles)

    return run
