"""What the contract checks share."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.init.base import Init, StackInfo, initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.layer_info import LayerInfo, configure_layer

DTYPES = (torch.float32, torch.bfloat16, torch.float64)
EXACT = 1e-10  # largest difference of two orders of the same float64 arithmetic
B, T, S, D, H, K, V = 2, 6, 5, 16, 4, 4, 10
SECOND = LayerInfo(layer=1, n_layers=2, vocab_size=V)

Run = Callable[[Any, Tensor], Tensor]


def require(ok: bool, line: str) -> None:
    if not ok:
        raise AssertionError(line)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


def finite(x: Tensor | None) -> bool:
    return x is not None and bool(x.isfinite().all())


def near(a: Tensor, b: Tensor, tolerance: float = EXACT) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance).all())


def fresh(make: Callable[[], Any], info: LayerInfo = SECOND) -> Any:
    """A module with the weights that a model would give it, by default in the second layer."""
    module = configure_layer(make(), info)
    initialise(module, Normal(std=0.3, embedding_std=0.3), 0)
    return module


def call(module: Any, x: Tensor) -> Tensor:
    return module(x)


def check_layer(
    kind: str, make: Callable[[], Any], x: Tensor, run: Run = call, *, gradients: bool = True
) -> None:
    """Shape, dtype, input left alone, weights from the init, gradients, state dict."""
    for dtype in DTYPES:
        given = x.to(dtype)
        y = run(fresh(make).to(dtype), given)
        require(y.shape == x.shape, f"{kind}: {tuple(x.shape)} became {tuple(y.shape)}")
        require(y.dtype == dtype, f"{kind}: {dtype} became {y.dtype}")
        require(finite(y), f"{kind}: output not finite in {dtype}")
        require(torch.equal(given, x.to(dtype)), f"{kind}: changes its input in place")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = fresh(make).double().eval()
        torch.manual_seed(2)
        two = fresh(make).double().eval()
    same = near(run(one, x), run(two, x), 0.0)
    require(same, f"{kind}: weights depend on the global seed; draw none in the constructor")
    if gradients:
        check_gradients(kind, one, (run(one, x) * x.flip(-1)).sum())
    with torch.no_grad():
        for parameter in one.parameters():
            parameter += 0.1
    two.load_state_dict(one.state_dict())
    require(near(run(one, x), run(two, x), 0.0), f"{kind}: state dict does not hold all of it")


def check_gradients(kind: str, module: nn.Module, total: Tensor | None = None) -> None:
    """Every parameter gets a finite gradient from total (or has one from an earlier backward)."""
    if total is not None and total.requires_grad:
        total.backward()
    for name, parameter in module.named_parameters():
        require(finite(parameter.grad), f"{kind}: {name} gets no finite gradient")


def check_positionwise(kind: str, layer: Callable[[Tensor], Tensor]) -> None:
    x = noise(B, T, D)
    layer = layer.double().eval() if isinstance(layer, nn.Module) else layer
    require(near(layer(x[1:, 2:3]), layer(x)[1:, 2:3]), f"{kind}: a position depends on others")


def check_residual_out(kind: str, module: nn.Module) -> None:
    asked = _Outputs()
    initialise(copy.deepcopy(module), asked, 0)
    line = "no layer is a ResidualOut or draws as one, so initialisers cannot find its output"
    require(asked.n > 0, f"{kind}: {line}")


class _Outputs(Init):
    """Counts the weights that it is asked to fill as outputs into the residual stream."""

    n = 0

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.zeros_(weight)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        nn.init.zeros_(weight)
        self.n += 1

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        nn.init.zeros_(weight)


def steps(x: Tensor) -> list[tuple[Tensor, AttentionContext]]:
    """A row as decoding reads it: three tokens at once, then one by one."""
    first = (x[:, :3], AttentionContext(is_causal=True))
    return [first, *((x[:, t : t + 1], AttentionContext()) for t in range(3, x.shape[1]))]
