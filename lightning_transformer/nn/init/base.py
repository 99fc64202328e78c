"""Initial weights: a function of the seed and the tensor's name, so variants share equal tensors.

Every tensor is drawn from a generator of its own, seeded by (seed, qualified name). Inserting a
module, or drawing in another order, changes no other tensor: runs with one seed are paired.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.linear import Head, QueryKey, ResidualOut
from lightning_transformer.nn.seeds import named_generator
from lightning_transformer.nn.stack import Stack


@dataclass(frozen=True)
class StackInfo:
    """The stack that a weight is part of.

    width: of its residual stream, 0 outside of stacks. n_residuals: additions to it. n_layers:
    those that it runs through.
    reads_source: attends to an encoder. n_readers: layers of the decoder that reads it, 0 = none.
    """

    n_residuals: int = 1
    n_layers: int = 1
    reads_source: bool = False
    n_readers: int = 0
    width: int = 0


@runtime_checkable
class InitsWeights(Protocol):
    """A module that draws its own weights, where they are neither linear layers nor embeddings.

    The generator is seeded by (seed, qualified name of the module). One with `per_channel = True`
    multiplies each channel by itself: its weights do not sum over more inputs in a wider model.
    """

    def init_weights(self, scheme: "Init", info: StackInfo, generator: Generator) -> None: ...


class Init:
    """Contract of an initialisation scheme: fill one weight by the role of its layer.

    A parametrisation may also set how modules compute (`configure_model`), scale the learning
    rates of weights (`lr_scale`) and keep weights at a length (`unit_weights`).
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        """A linear layer inside a stack."""
        raise NotImplementedError

    def query_key(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        """A linear layer that makes queries or keys."""
        self.linear(weight, info, generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        """A linear layer whose output is added to the residual stream."""
        self.linear(weight, info, generator)

    def head(self, weight: Tensor, generator: Generator) -> None:
        """The output layer, where it is not tied to the embedding."""
        self.linear(weight, StackInfo(), generator)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        """A table of token or position vectors."""
        raise NotImplementedError

    def embedding_at(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        """The same, for schemes that depend on the depth of the stack that the table feeds."""
        self.embedding(weight, generator)

    def configure_model(self, model: nn.Module) -> None:
        """Set multipliers of modules, before weights are filled; ValueError where it cannot."""

    def lr_scale(self, module: nn.Module, info: StackInfo) -> float:
        """The factor of the learning rate of this module's weight; embeddings have 1."""
        return 1.0

    def unit_weights(self, model: nn.Module) -> list[tuple[Tensor, int]]:
        """Weights whose vectors along a dimension keep length 1 after each optimizer step."""
        return []

    def lr_scales(self, model: nn.Module) -> dict[int, float]:
        """The factors that are not 1, by the id of the weight."""
        found: dict[int, float] = {}
        for _, module, info in _modules(model):
            if getattr(module, "per_channel", False):
                continue
            if isinstance(module, InitsWeights):
                weights: list[Tensor] = [p for p in module.parameters(recurse=False) if p.ndim >= 2]
            elif isinstance(module, nn.Linear | nn.Embedding):
                weights = [module.weight]
            else:
                continue
            for weight in weights:  # a tied weight belongs to the module that comes first
                found.setdefault(id(weight), self.lr_scale(module, info))
        return {key: factor for key, factor in found.items() if factor != 1.0}


@dataclass(frozen=True)
class NormalTables(Init):
    """A scheme whose tables of token and position vectors are N(0, embedding_std^2)."""

    embedding_std: float = 0.02

    def __post_init__(self) -> None:
        checks.positive("embedding_std", self.embedding_std, 0.02)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.embedding_std, generator=generator)


@torch.no_grad()
def initialise(model: nn.Module, scheme: Init, seed: int) -> None:
    """Set how modules compute, and draw all weights."""
    scheme.configure_model(model)
    draw_weights(model, scheme, seed)


@torch.no_grad()
def draw_weights(
    model: nn.Module, scheme: Init, seed: int, only: Container[str] | None = None
) -> None:
    """Fill the weights of every linear layer and embedding; biases become zero.

    Other parameters (gains, scalars) keep what their module set. Weights on the meta device are
    skipped. only: names of the weights to fill; a module that draws its own draws all of them.
    """
    seen: set[int] = set()  # a tied weight belongs to the module that comes first
    for name, module, info in _modules(model):
        weight = getattr(module, "weight", None)
        if isinstance(module, InitsWeights):
            own = module.named_parameters(name, recurse=False)
            asked = only is None or any(key in only for key, _ in own)
            if asked and not any(p.is_meta for p in module.parameters(recurse=False)):
                module.init_weights(scheme, info, named_generator(seed, name))
            continue
        if not isinstance(module, nn.Linear | nn.Embedding):
            continue
        asked = only is None or f"{name}.bias" in only
        if isinstance(module, nn.Linear) and module.bias is not None and asked:
            module.bias.zero_()  # also of a tied layer, which shares only its weight
        assert isinstance(weight, Tensor)
        if id(weight) in seen or weight.is_meta:
            continue
        seen.add(id(weight))
        if only is not None and f"{name}.weight" not in only:
            continue
        # Drawn on the CPU in float32: the same numbers on any device and in any precision.
        drawn = torch.empty(weight.shape)
        _fill(scheme, module, drawn, info, named_generator(seed, f"{name}.weight"))
        weight.copy_(drawn)


def _fill(
    scheme: Init, module: nn.Module, weight: Tensor, info: StackInfo, generator: Generator
) -> None:
    if isinstance(module, nn.Embedding):
        scheme.embedding_at(weight, info, generator)
    elif isinstance(module, Head):
        scheme.head(weight, generator)
    elif isinstance(module, ResidualOut):
        scheme.residual_out(weight, info, generator)
    elif isinstance(module, QueryKey):
        scheme.query_key(weight, info, generator)
    else:
        scheme.linear(weight, info, generator)


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, StackInfo]]:
    """Every module with its qualified name and the stack that it is part of.

    A table outside of all stacks feeds them: its stack is the last, where there is one the decoder.
    """
    stacks = {
        name: StackInfo(m.n_residuals, m.n_layers, m.reads_source, m.n_readers, m.d_model)
        for name, m in model.named_modules()
        if isinstance(m, Stack)
    }
    last = next(reversed(stacks.values()), StackInfo())
    for name, module in model.named_modules():
        outside = last if isinstance(module, nn.Embedding) else StackInfo()
        info = next((s for stack, s in stacks.items() if name.startswith(f"{stack}.")), outside)
        yield name, module, info
