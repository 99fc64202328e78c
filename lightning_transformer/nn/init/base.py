"""Initial weights: a function of the seed and the tensor's name, so variants share what they can.

Every tensor is drawn from a generator of its own, seeded by (seed, qualified name). Inserting a
module, or drawing in another order, changes nobody else's numbers: runs with one seed are pairs.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.linear import Head, ResidualOut
from lightning_transformer.nn.stack import Stack


class Init:
    """Contract of an initialisation scheme: fill one weight, by what its layer is for.

    depth is the number of residual additions of the layer's stack.
    """

    def linear(self, weight: Tensor, depth: int, generator: Generator) -> None:
        """A linear layer inside a stack."""
        raise NotImplementedError

    def residual_out(self, weight: Tensor, depth: int, generator: Generator) -> None:
        """A linear layer whose output is added to the residual stream."""
        self.linear(weight, depth, generator)

    def head(self, weight: Tensor, generator: Generator) -> None:
        """The output layer, where it is not tied to the embedding."""
        self.linear(weight, 1, generator)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        """A table of token or position vectors."""
        raise NotImplementedError


@torch.no_grad()
def initialise(model: nn.Module, scheme: Init, seed: int) -> None:
    """Fill the weights of every linear layer and embedding; biases become zero.

    Other parameters (gains, scalars) keep what their module set. Weights on the meta device are
    left alone.
    """
    seen: set[int] = set()  # a tied weight belongs to the module that comes first
    for name, module, depth in _modules(model):
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | nn.Embedding) or id(weight) in seen:
            continue
        assert isinstance(weight, Tensor)
        seen.add(id(weight))
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.zero_()
        if weight.is_meta:
            continue
        # Drawn on the CPU in float32: the same numbers on any device and in any precision.
        drawn = torch.empty(weight.shape)
        _fill(scheme, module, drawn, depth, _generator(seed, f"{name}.weight"))
        weight.copy_(drawn)


def _fill(
    scheme: Init, module: nn.Module, weight: Tensor, depth: int, generator: Generator
) -> None:
    if isinstance(module, nn.Embedding):
        scheme.embedding(weight, generator)
    elif isinstance(module, Head):
        scheme.head(weight, generator)
    elif isinstance(module, ResidualOut):
        scheme.residual_out(weight, depth, generator)
    else:
        scheme.linear(weight, depth, generator)


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module, int]]:
    """Every module with its qualified name and the depth of the stack that it is part of."""
    stacks = {name: m.n_residuals for name, m in model.named_modules() if isinstance(m, Stack)}
    for name, module in model.named_modules():
        depth = next((d for stack, d in stacks.items() if name.startswith(f"{stack}.")), 1)
        yield name, module, depth


def _generator(seed: int, name: str) -> Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
