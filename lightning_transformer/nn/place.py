"""Where a component stands in its stack, told to those that depend on it."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class Place:
    """Layer number `layer`, from 0, of the `n_layers` that a stack runs through.

    causal: no position sees a later one. cross: reads a source, not its own row. reads_source: its
    stack has such layers. n_readers: layers of the decoder that reads this stack, 0 = none does.
    """

    layer: int = 0
    n_layers: int = 1
    causal: bool = True
    cross: bool = False
    reads_source: bool = False
    n_readers: int = 0


@runtime_checkable
class Settles(Protocol):
    """What a component has that depends on its place.

    `settle` is called once, before weights get their initial values. It returns the module to use
    there: itself, or another. Raises ValueError where the component cannot work.
    """

    def settle(self, place: Place) -> nn.Module: ...


def settle(module: nn.Module, place: Place) -> nn.Module:
    """Tell a module and all below it where they stand; return what is to be used in its stead."""
    for name, child in list(module.named_children()):
        there = replace(place, cross=True, causal=False) if name == "cross" else place
        setattr(module, name, settle(child, there))
    return module.settle(place) if isinstance(module, Settles) else module
