"""Contracts of the parts of a layer."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.embedding.base import MakesHead
from lightning_transformer.nn.layer_info import configure_layer
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.residual.base import Residual
from lightning_transformer.nn.types import ActivationFactory, LayerFactory, NormFactory, Sublayer
from lightning_transformer.nn.types import ModuleFactory as Factory
from lightning_transformer.testing.common import (
    SECOND,
    B,
    D,
    S,
    T,
    check_gradients,
    check_layer,
    check_positionwise,
    check_residual_out,
    finite,
    fresh,
    near,
    noise,
    require,
    steps,
)


def check_norm(factory: NormFactory) -> None:
    """factory(dim): keeps shape and dtype, treats each position alone, finite at 0 and at 1e4."""
    check_layer("norm", lambda: factory(D), noise(B, T, D))
    check_positionwise("norm", factory(D))
    for size in (0.0, 1e4):
        x = (size * noise(B, T, D).float()).requires_grad_()
        y = factory(D)(x)
        y.sum().backward()
        require(finite(y), f"norm: output not finite for inputs of size {size:g}")
        require(finite(x.grad), f"norm: gradient not finite for inputs of size {size:g}")


def check_activation(factory: ActivationFactory) -> None:
    """factory(): has n_inputs 1 or 2, works element by element, with the right gradient."""
    module = factory()
    n_inputs: int = getattr(module, "n_inputs", 0)
    require(n_inputs in (1, 2), f"activation: n_inputs is {n_inputs}, it must be 1 or 2")
    inputs = [noise(B, T, D, seed=i) for i in range(n_inputs)]

    def run(m: Any, x: Tensor) -> Tensor:
        return m(x, *(other.to(x.dtype) for other in inputs[1:]))

    check_layer("activation", factory, inputs[0], run)
    module = factory().double()
    alone = module(*(x[1, 2, 3:4] for x in inputs))
    require(near(module(*inputs)[1, 2, 3:4], alone), "activation: an element depends on others")
    leaves = [x[0, :2].clone().requires_grad_() for x in inputs]
    right = torch.autograd.gradcheck(module, leaves, raise_exception=False)
    require(right, "activation: gradient differs from finite differences")
    for size in (0.0, 1e4, -1e4):
        leaves = [torch.full((3,), size, requires_grad=True) for _ in inputs]
        factory()(*leaves).sum().backward()
        require(all(finite(x.grad) for x in leaves), f"activation: bad gradient at {size:g}")


def check_ffn(factory: LayerFactory) -> None:
    """factory(dim): (B, T, D) -> same, each position alone, ends in a ResidualOut layer."""
    check_layer("ffn", lambda: factory(D), noise(B, T, D))
    check_positionwise("ffn", fresh(lambda: factory(D)))
    check_residual_out("ffn", factory(D))


def check_embedding(factory: Factory) -> None:
    """factory(vocab_size, d_model): an nn.Embedding whose vectors depend on the id alone.

    A head can be tied to its weight, (vocab_size, d_model); else it makes that head (`MakesHead`).
    """
    table = fresh(lambda: factory(10, D))
    require(isinstance(table, nn.Embedding), "embedding: must be an nn.Embedding")
    sizes, weight = (table.num_embeddings, table.embedding_dim), table.weight
    require(sizes == (10, D), f"embedding: says it is {sizes}, not (vocab_size, d_model)")
    if isinstance(table, MakesHead):
        head = table.tied_head(bias=True, softcap=None)
        require(isinstance(head, Head), "embedding: tied_head must give a Head")
        require(head.weight is weight, "embedding: tied_head does not share the table")
        scores = head(torch.zeros(2, D))
        require(scores.shape == (2, 10), f"embedding: (2, D) became {tuple(scores.shape)} scores")
    else:
        require(weight.shape == (10, D), "embedding: weight is not (vocab_size, d_model)")
    y = table(torch.tensor([[1, 2, 1]]))
    require(y.shape == (1, 3, D), f"embedding: (1, 3) ids gave {tuple(y.shape)}")
    require(torch.equal(y[0, 0], y[0, 2]), "embedding: one id gave two vectors")
    check_gradients("embedding", table, (y * noise(1, 3, D).float()).sum())


def check_residual(factory: Factory) -> None:
    """factory(dim, norm=): called with (x, f), calls f once; says whether a final norm is due."""

    def make() -> Any:
        return configure_layer(factory(D, norm=LayerNorm), SECOND)

    def run(module: Any, x: Tensor, f: Sublayer = torch.tanh) -> Tensor:
        stream = module(module.split_stream(x), f)
        read = module.new_final_read(1).to(x.dtype)
        return module.merge_stream(read(stream), nn.Identity())

    require(isinstance(make(), Residual), "residual: must be a Residual")
    require(isinstance(make().needs_final_norm, bool), "residual: needs_final_norm must be a bool")
    x, inner = noise(B, T, D), fresh(lambda: nn.Linear(D, D)).double()
    check_layer("residual", make, x, run)
    check_positionwise("residual", lambda x: run(make().double(), x))
    calls: list[Tensor] = []

    def f(h: Tensor) -> Tensor:
        calls.append(h)
        return inner(h)

    leaf = x.clone().requires_grad_()
    (run(make().double().eval(), leaf, f) * x.flip(-1)).sum().backward()
    require(len(calls) == 1, f"residual: called f {len(calls)} times, it must do so once")
    require(leaf.grad is not None and bool(leaf.grad.any()), "residual: no gradient reaches x")
    check_gradients("residual: f", inner)


def check_block(factory: Factory) -> None:
    """factory(dim, cross=): obeys the context, reads a source if cross, decodes with a cache."""
    causal = AttentionContext(is_causal=True)
    x, memory = noise(B, T, D), noise(B, S, D, seed=1)
    check_layer("block", lambda: factory(D, cross=False), x, lambda m, x: m(x, causal))
    module = fresh(lambda: factory(D, cross=True)).double().eval()
    require(module.residuals != [], "block: residuals must list its additions to the stream")
    known = all(isinstance(residual, Residual) for residual in module.residuals)
    require(known, "block: its residuals must be Residuals")
    every = AttentionContext()
    full = module(x, causal, memory, every)
    other = module(x, causal, memory + 1, every)
    require(not near(full, other), "block: with cross=True ignores the source")
    early = module(x[:, :3], causal, memory, every)
    require(near(early, full[:, :3]), "block: sees the future")
    cache = module.new_cache(T, S)
    outputs = [module(part, context, memory, every, cache) for part, context in steps(x)]
    require(near(torch.cat(outputs, 1), full), "block: with a cache differs from without")
    check_gradients("block", module, (full * x.flip(-1)).sum())


def check_pooling(factory: Factory) -> None:
    """factory(): (B, T, D), padding (B, T) or None -> (B, D), blind to pads; has n_extra_tokens."""
    module = factory()
    require(module.n_extra_tokens in (0, 1), "pooling: n_extra_tokens must be 0 or 1")
    x = noise(B, T, D)
    padding = torch.zeros(B, T, dtype=torch.bool)
    require(near(module(x, padding), module(x, None)), "pooling: padding=None is not 'no pads'")
    padding[:, 4:] = True
    pooled = module(x, padding)
    require(pooled.shape == (B, D), f"pooling: gives {tuple(pooled.shape)}, not (B, D)")
    require(near(pooled, module(x[:, :4], None)), "pooling: pads change the result")
