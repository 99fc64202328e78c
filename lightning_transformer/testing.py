"""Contract checks, one per kind of component, for the tests of this package and of plug-ins.

Each takes what the option file builds (a factory, or the finished object) and raises AssertionError
with one line that says what is broken. A component that passes works in every model, trains from
the same weights as its rivals at equal seed, and decodes with a cache.
"""

import copy
import itertools
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import Init, Site, initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.kernel.base import Kernel
from lightning_transformer.nn.kernel.eager import Eager
from lightning_transformer.nn.linear import ResidualOut
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.pattern.base import Causal, Pattern
from lightning_transformer.nn.place import Place, settle
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import ActivationFactory, LayerFactory, NormFactory, Sublayer
from lightning_transformer.nn.types import ModuleFactory as Factory
from lightning_transformer.optim.schedule.base import Schedule

DTYPES = (torch.float32, torch.bfloat16, torch.float64)
EXACT = 1e-10  # largest difference of two orders of the same float64 arithmetic
B, T, S, D, H, K = 2, 6, 5, 16, 4, 4
SECOND = Place(layer=1, n_layers=2)

Run = Callable[[Any, Tensor], Tensor]


def check_norm(factory: NormFactory) -> None:
    """factory(dim): keeps shape and dtype, treats each position alone, finite at 0 and at 1e4."""
    _check_layer("norm", lambda: factory(D), _noise(B, T, D))
    _check_positionwise("norm", factory(D))
    for size in (0.0, 1e4):
        x = (size * _noise(B, T, D).float()).requires_grad_()
        y = factory(D)(x)
        y.sum().backward()
        _require(_finite(y), f"norm: output not finite for inputs of size {size:g}")
        _require(_finite(x.grad), f"norm: gradient not finite for inputs of size {size:g}")


def check_activation(factory: ActivationFactory) -> None:
    """factory(): has n_inputs 1 or 2, works element by element, with the right gradient."""
    module = factory()
    n_inputs: int = getattr(module, "n_inputs", 0)
    _require(n_inputs in (1, 2), f"activation: n_inputs is {n_inputs}, it must be 1 or 2")
    inputs = [_noise(B, T, D, seed=i) for i in range(n_inputs)]

    def run(m: Any, x: Tensor) -> Tensor:
        return m(x, *(other.to(x.dtype) for other in inputs[1:]))

    _check_layer("activation", factory, inputs[0], run)
    module = factory().double()
    alone = module(*(x[1, 2, 3:4] for x in inputs))
    _require(_near(module(*inputs)[1, 2, 3:4], alone), "activation: an element depends on others")
    leaves = [x[0, :2].clone().requires_grad_() for x in inputs]
    right = torch.autograd.gradcheck(module, leaves, raise_exception=False)
    _require(right, "activation: gradient differs from finite differences")
    for size in (0.0, 1e4, -1e4):
        leaves = [torch.full((3,), size, requires_grad=True) for _ in inputs]
        factory()(*leaves).sum().backward()
        _require(all(_finite(x.grad) for x in leaves), f"activation: bad gradient at {size:g}")


def check_ffn(factory: LayerFactory) -> None:
    """factory(dim): (B, T, D) -> same, each position alone, ends in a ResidualOut layer."""
    _check_layer("ffn", lambda: factory(D), _noise(B, T, D))
    _check_positionwise("ffn", _fresh(lambda: factory(D)))
    _check_residual_out("ffn", factory(D))


def check_embedding(factory: Factory) -> None:
    """factory(vocab_size, d_model): an nn.Embedding whose vectors depend on the id alone."""
    table = factory(10, D)
    _require(isinstance(table, nn.Embedding), "embedding: must be an nn.Embedding")
    _require(table.weight.shape == (10, D), "embedding: weight is not (vocab_size, d_model)")
    y = table(torch.tensor([[1, 2, 1]]))
    _require(y.shape == (1, 3, D), f"embedding: (1, 3) ids gave {tuple(y.shape)}")
    _require(torch.equal(y[0, 0], y[0, 2]), "embedding: one id gave two vectors")
    y.sum().backward()
    _require(_finite(table.weight.grad), "embedding: no finite gradient")


def check_position(factory: Factory) -> None:
    """factory(d_model=, n_heads=, head_dim=, max_len=): hooks that fit each other and a cache."""

    def make() -> Any:
        return factory(d_model=D, n_heads=H, head_dim=K, max_len=T)

    _require(isinstance(make(), PositionEncoding), "position: must be a PositionEncoding")
    x, heads, places = _noise(B, T, D), _noise(B, H, T, K), torch.arange(T)
    _check_layer("position: embed", make, x, _embedded(places), gradients=False)
    _check_layer("position: rotate", make, heads, _rotated(places), gradients=False)
    module = _fresh(make).double()
    bias = module.bias(places, places)
    total = torch.zeros(()) if bias is None else bias.sum()
    for name, run, given in (("embed", _embedded, x), ("rotate", _rotated, heads)):
        whole = run(places)(module, given)
        rows = run(places.expand(B, T))(module, given)
        _require(_near(rows, whole), f"position: {name} differs for (B, T) positions")
        late = run(places[2:])(module, given[..., 2:, :])
        _require(_near(late, whole[..., 2:, :]), f"position: {name} depends on the row's start")
        total = total + (whole * given.flip(-1)).sum()
    if bias is not None:
        _require(bias.shape == (H, T, T), f"position: bias is {tuple(bias.shape)}, not (H, T, S)")
        moved, late = module.bias(places + 7, places + 7), module.bias(places[2:], places)
        _require(_near(moved, bias), "position: bias is not relative")
        _require(_near(late, bias[:, 2:]), "position: bias depends on the other queries")
    _check_gradients("position", module, total)


def check_pattern(pattern: Pattern) -> None:
    """A frozen value; for each layer a predicate of positions that lets a query see itself."""
    twin = copy.deepcopy(pattern)
    _require(twin == pattern and hash(twin) == hash(pattern), "pattern: equal copies must be equal")
    q, k = torch.arange(40)[:, None], torch.arange(40)[None, :]
    for layer in range(8):
        mask = pattern.for_layer(layer)(q, k)
        _require(mask.dtype == torch.bool, f"pattern: gives {mask.dtype}, it must be bool")
        _require(mask.shape == (40, 40), f"pattern: (40, 1), (1, 40) gave {tuple(mask.shape)}")
        _require(bool(mask.diagonal().all()), f"pattern: layer {layer} hides a query from itself")
        late = pattern.for_layer(layer)(q[30:], k)
        _require(torch.equal(late, mask[30:]), "pattern: depends on more than the two positions")
        batch = pattern.for_layer(layer)(q.expand(B, 40, 1), k.expand(B, 1, 40))
        _require(torch.equal(batch, mask.expand(B, 40, 40)), "pattern: differs for (B, T, 1)")
        both = (pattern.for_layer(layer) & Causal())(q, k)
        _require(torch.equal(both, mask & (k <= q)), "pattern: `& Causal()` is not both")


def check_residual(factory: Factory) -> None:
    """factory(dim, norm=): called with (x, f), calls f once; says whether a final norm is due."""

    def make() -> Any:
        return settle(factory(D, norm=LayerNorm), SECOND)

    def run(module: Any, x: Tensor, f: Sublayer = torch.tanh) -> Tensor:
        return module.leave(module(module.enter(x), f), nn.Identity())

    _require(isinstance(make(), Residual), "residual: must be a Residual")
    _require(isinstance(make().needs_final_norm, bool), "residual: needs_final_norm must be a bool")
    x, inner = _noise(B, T, D), _fresh(lambda: nn.Linear(D, D)).double()
    _check_layer("residual", make, x, run)
    _check_positionwise("residual", lambda x: run(make().double(), x))
    calls: list[Tensor] = []

    def f(h: Tensor) -> Tensor:
        calls.append(h)
        return inner(h)

    leaf = x.clone().requires_grad_()
    (run(make().double().eval(), leaf, f) * x.flip(-1)).sum().backward()
    _require(len(calls) == 1, f"residual: called f {len(calls)} times, it must do so once")
    _require(leaf.grad is not None and bool(leaf.grad.any()), "residual: no gradient reaches x")
    _check_gradients("residual: f", inner)


def check_attention(factory: LayerFactory) -> None:
    """factory(dim): obeys the context and decodes with a cache; reads a source if it has scores."""
    causal = AttentionContext(is_causal=True)
    x, memory = _noise(B, T, D), _noise(B, S, D, seed=1)
    _check_layer("attention", lambda: factory(D), x, lambda m, x: m(x, causal))
    module = _fresh(lambda: factory(D)).double().eval()
    _check_residual_out("attention", module)
    known = all(isinstance(getattr(module, n, None), int) for n in ("n_heads", "head_dim"))
    _require(known, "attention: must say its n_heads and head_dim")
    _require(isinstance(module.has_scores, bool), "attention: has_scores must be a bool")
    full = module(x, causal)
    _require(_near(module(x[:, :3], causal), full[:, :3]), "attention: is_causal sees the future")
    cache = module.new_cache(T)
    steps = [module(part, context, cache=cache) for part, context in _steps(x)]
    _require(_near(torch.cat(steps, 1), full), "attention: with a cache differs from without")
    if not module.has_scores:
        return
    tril = AttentionContext(torch.ones(T, T).tril().bool()[None, None])
    _require(_near(module(x, tril), full), "attention: is_causal differs from the same mask")
    module = settle(factory(D), replace(SECOND, cross=True, causal=False))
    module = _fresh(lambda: module).double().eval()
    seen = AttentionContext(torch.tensor([True] * 3 + [False] * 2)[None, None, None])
    read = module(x, seen, memory=memory)
    short = module(x, AttentionContext(), memory=memory[:, :3])
    _require(_near(short, read), "attention: masked memory is seen")
    cache = module.new_cache(S)
    steps = [module(part, seen, memory=memory, cache=cache) for part, _ in _steps(x)]
    _require(_near(torch.cat(steps, 1), read), "attention: memory from the cache differs")


def check_block(factory: Factory) -> None:
    """factory(dim, cross=): obeys the context, reads a source if cross, decodes with a cache."""
    causal = AttentionContext(is_causal=True)
    x, memory = _noise(B, T, D), _noise(B, S, D, seed=1)
    _check_layer("block", lambda: factory(D, cross=False), x, lambda m, x: m(x, causal))
    module = _fresh(lambda: factory(D, cross=True)).double().eval()
    _require(module.residuals != [], "block: residuals must list its additions to the stream")
    known = all(isinstance(residual, Residual) for residual in module.residuals)
    _require(known, "block: its residuals must be Residuals")
    every = AttentionContext()
    full = module(x, causal, memory, every)
    other = module(x, causal, memory + 1, every)
    _require(not _near(full, other), "block: with cross=True ignores the source")
    early = module(x[:, :3], causal, memory, every)
    _require(_near(early, full[:, :3]), "block: sees the future")
    cache = module.new_cache(T, S)
    steps = [module(part, context, memory, every, cache) for part, context in _steps(x)]
    _require(_near(torch.cat(steps, 1), full), "block: with a cache differs from without")
    _check_gradients("block", module, (full * x.flip(-1)).sum())


def check_kernel(kernel: Kernel) -> None:
    """Equals the eager kernel for masks, biases, shared heads and queries that see nothing."""
    q, mask, bias = _noise(B, H, T, K), _noise(B, 1, T, T, seed=3) > -0.5, _noise(H, T, T, seed=4)
    mask[0, 0, 2] = False  # a query that may see nothing
    contexts = {
        "no mask": AttentionContext(),
        "a mask": AttentionContext(mask),
        "is_causal": AttentionContext(is_causal=True),
        "a bias": AttentionContext(torch.ones_like(mask), bias),
        "a bias and a mask": AttentionContext(mask, bias.masked_fill(~mask, float("-inf"))),
    }
    for n_kv_heads, (name, context) in itertools.product((H, 2, 1), contexts.items()):
        said = f"kernel: with {name} and {n_kv_heads} of {H} key heads"
        k, v = _noise(B, n_kv_heads, T, K, seed=1), _noise(B, n_kv_heads, T, K, seed=2)
        wanted = Eager()(q, k, v, context, 0.0)
        _require(_near(kernel(q, k, v, context, 0.0), wanted), f"{said} differs from eager")
        for dtype in (torch.bfloat16, torch.float16):
            bits = kernel(q.to(dtype), k.to(dtype), v.to(dtype), context, 0.0)
            _require(bits.dtype == dtype, f"{said} turns {dtype} into {bits.dtype}")
            _require(_near(bits.double(), wanted, 0.05), f"{said} is off in {dtype}")
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        kernel(leaves[0], leaves[1], leaves[2], context, 0.0).sum().backward()
        _require(all(_finite(x.grad) for x in leaves), f"{said} has no finite gradient")
    ones = torch.ones(B, H, 200, K)
    dropped = kernel(ones, ones, ones, AttentionContext(), 0.5)
    _require(not _near(dropped, ones, 1e-3), "kernel: dropout does nothing")
    _require(abs(float(dropped.mean()) - 1) < 0.05, "kernel: dropout changes the mean")


def check_init(init: Init) -> None:
    """Fills a weight from the given generator alone, with finite numbers, whatever its role."""
    roles: dict[str, Callable[[Tensor, Generator], None]] = {
        "linear": lambda w, g: init.linear(w, Site(4, 2), g),
        "query_key": lambda w, g: init.query_key(w, Site(4, 2), g),
        "residual_out": lambda w, g: init.residual_out(w, Site(4, 2), g),
        "head": init.head,
        "embedding": init.embedding,
    }
    for role, fill in roles.items():
        before = torch.random.get_rng_state()
        drawn = []
        for seed in (0, 0, 1):
            weight = torch.full((24, 16), float("nan"))
            fill(weight, Generator().manual_seed(seed))
            drawn.append(weight)
        _require(_finite(drawn[0]), f"init: {role} leaves numbers that are not finite")
        _require(torch.equal(drawn[0], drawn[1]), f"init: {role} does not follow the generator")
        untouched = torch.equal(torch.random.get_rng_state(), before)
        _require(untouched, f"init: {role} draws from the global generator")
        constant = not drawn[0].any()
        _require(constant or not torch.equal(drawn[0], drawn[2]), f"init: {role} ignores the seed")
    _require(not constant, "init: embedding is zero, so that all tokens are the same")


def check_schedule(schedule: Schedule) -> None:
    """A pure function of the step in [0, 1] with peak 1, which refuses a run that is too short."""
    total = schedule.warmup_steps + 50
    schedule.validate(total)
    factors = [schedule(step, total) for step in range(total)]
    _require(all(0 <= f <= 1 for f in factors), "schedule: a factor lies outside [0, 1]")
    _require(abs(max(factors) - 1) < 1e-12, f"schedule: peaks at {max(factors):g}, not at 1")
    pure = pickle.loads(pickle.dumps(schedule))
    again = [pure(step, total) for step in reversed(range(total))]
    _require(again[::-1] == factors, "schedule: depends on more than the step")
    try:
        schedule.validate(schedule.warmup_steps)
    except ValueError as error:
        _require("\n" not in str(error), "schedule: the error has more than one line")
    else:
        raise AssertionError("schedule: accepts a run that ends before the warm-up does")


def check_pooling(factory: Factory) -> None:
    """factory(): (B, T, D), padding (B, T) or None -> (B, D), blind to pads; has n_extra_tokens."""
    module = factory()
    _require(module.n_extra_tokens in (0, 1), "pooling: n_extra_tokens must be 0 or 1")
    x = _noise(B, T, D)
    padding = torch.zeros(B, T, dtype=torch.bool)
    _require(_near(module(x, padding), module(x, None)), "pooling: padding=None is not 'no pads'")
    padding[:, 4:] = True
    pooled = module(x, padding)
    _require(pooled.shape == (B, D), f"pooling: gives {tuple(pooled.shape)}, not (B, D)")
    _require(_near(pooled, module(x[:, :4], None)), "pooling: pads change the result")


def check_loss(factory: Callable[[], nn.Module]) -> None:
    """factory(): scores (N, V), labels (N,) -> sums over targets; labels of -100 count nowhere."""
    scores, labels = _noise(5, 7), torch.tensor([0, 6, -100, 2, 2])
    loss = factory()
    both = loss(scores, labels)
    parts = [loss(scores[i : i + 1], labels[i : i + 1]) for i in range(5)]
    for name in ("objective", "nll"):
        total = torch.stack([getattr(part, name) for part in parts]).sum()
        _require(_near(getattr(both, name), total), f"loss: {name} is not the sum over its rows")
    wanted = -scores.log_softmax(-1)[[0, 1, 3, 4], [0, 6, 2, 2]].sum()
    _require(_near(both.nll, wanted), "loss: nll is not the plain negative log-likelihood")
    _require(not both.nll.requires_grad, "loss: nll must be detached")
    leaf = scores.clone().requires_grad_()
    loss(leaf, torch.full((5,), -100)).objective.backward()
    _require(leaf.grad is not None and not leaf.grad.any(), "loss: ignored targets have a gradient")


# -- what the checks share ------------------------------------------------------------------------


def _require(ok: bool, line: str) -> None:
    if not ok:
        raise AssertionError(line)


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


def _finite(x: Tensor | None) -> bool:
    return x is not None and bool(x.isfinite().all())


def _near(a: Tensor, b: Tensor, tolerance: float = EXACT) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


def _fresh(make: Callable[[], Any]) -> Any:
    """A module with the weights that a model would give it, in the second of two layers."""
    module = settle(make(), SECOND)
    initialise(module, Normal(std=0.3, embedding_std=0.3), 0)
    return module


def _call(module: Any, x: Tensor) -> Tensor:
    return module(x)


def _check_layer(
    kind: str, make: Callable[[], Any], x: Tensor, run: Run = _call, *, gradients: bool = True
) -> None:
    """Shape, dtype, input left alone, weights from the init, gradients, state dict."""
    for dtype in DTYPES:
        given = x.to(dtype)
        y = run(_fresh(make).to(dtype), given)
        _require(y.shape == x.shape, f"{kind}: {tuple(x.shape)} became {tuple(y.shape)}")
        _require(y.dtype == dtype, f"{kind}: {dtype} became {y.dtype}")
        _require(_finite(y), f"{kind}: output not finite in {dtype}")
        _require(torch.equal(given, x.to(dtype)), f"{kind}: changes its input in place")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = _fresh(make).double().eval()
        torch.manual_seed(2)
        two = _fresh(make).double().eval()
    same = _near(run(one, x), run(two, x), 0.0)
    _require(same, f"{kind}: weights depend on the global seed; draw none in the constructor")
    if gradients:
        _check_gradients(kind, one, (run(one, x) * x.flip(-1)).sum())
    with torch.no_grad():
        for parameter in one.parameters():
            parameter += 0.1
    two.load_state_dict(one.state_dict())
    _require(_near(run(one, x), run(two, x), 0.0), f"{kind}: state dict does not hold all of it")


def _check_gradients(kind: str, module: nn.Module, total: Tensor | None = None) -> None:
    """Every parameter gets a finite gradient from total (or has one from an earlier backward)."""
    if total is not None and total.requires_grad:
        total.backward()
    for name, parameter in module.named_parameters():
        _require(_finite(parameter.grad), f"{kind}: {name} gets no finite gradient")


def _check_positionwise(kind: str, layer: Callable[[Tensor], Tensor]) -> None:
    x = _noise(B, T, D)
    layer = layer.double().eval() if isinstance(layer, nn.Module) else layer
    _require(_near(layer(x[1:, 2:3]), layer(x)[1:, 2:3]), f"{kind}: a position depends on others")


def _check_residual_out(kind: str, module: nn.Module) -> None:
    found = any(isinstance(part, ResidualOut) for part in module.modules())
    _require(found, f"{kind}: no layer is a ResidualOut, so initialisers cannot find its output")


def _steps(x: Tensor) -> list[tuple[Tensor, AttentionContext]]:
    """A row as decoding reads it: three tokens at once, then one by one."""
    first = (x[:, :3], AttentionContext(is_causal=True))
    return [first, *((x[:, t : t + 1], AttentionContext()) for t in range(3, x.shape[1]))]


def _embedded(places: Tensor) -> Run:
    return lambda module, x: module.embed(x, places)


def _rotated(places: Tensor) -> Run:
    def run(module: Any, heads: Tensor) -> Tensor:
        angles = module.angles(places)
        return heads if angles is None else module.rotate(heads, angles)

    return run
