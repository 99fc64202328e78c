"""Weights of length 1, before and after every step (nGPT)."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.linear import ResidualOut
from lightning_transformer.nn.stack import Stack


@dataclass(frozen=True)
class UnitNorm(Init):
    """Every vector of a matrix has length 1, and keeps it (Loshchilov et al. 2024, nGPT).

        w <- w / |w|  over the inputs of a linear layer, or the outputs where it ends in the stream

    So over d_model, as in the paper, but for layers behind others, as MLA has them. Tables have a
    vector for each token, and the output layer too. Drawn uniformly on the sphere; brought back to
    it after each optimizer step, where a length is off by more than four roundings. Biases, gains
    and scalars are left alone. The paper has neither weight decay nor warm-up.

    Raises ValueError for other matrices, and for optimizers that keep copies of the weights.
    """

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        _draw(weight, 1, generator)

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        _draw(weight, 0, generator)

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        _draw(weight, 1, generator)

    def unit_weights(self, model: nn.Module) -> list[tuple[Tensor, int]]:
        found = {id(weight): (weight, dim) for weight, dim in _matrices(model)}
        return list(found.values())

    def configure_model(self, model: nn.Module) -> None:
        known = {id(weight) for weight, _ in self.unit_weights(model)}
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and id(parameter) not in known:
                raise ValueError(
                    "init=unit_norm has rules for linear layers and tables of width d_model, and "
                    f"none for {name}; use init=depth_scaled"
                )


def _draw(weight: Tensor, dim: int, generator: Generator) -> None:
    nn.init.normal_(weight, generator=generator)
    weight.div_(weight.norm(dim=dim, keepdim=True))


def _matrices(model: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Matrices with the dimension along which their vectors lie."""
    widths = {module.d_model for module in model.modules() if isinstance(module, Stack)}
    for module in model.modules():
        if isinstance(module, nn.Linear):
            yield module.weight, 0 if isinstance(module, ResidualOut) else 1
        elif isinstance(module, nn.Embedding) and module.embedding_dim in widths:
            yield module.weight, 1
