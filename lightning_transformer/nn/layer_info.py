"""Where a component stands in its stack, told to those that depend on it."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class Place:
    """Layer number `layer`, from 0, of the `n_layers` that a stack runs through.

    causal: no position sees a later one. cross: reads a source, not its own row. reads_source: its
    stack has such layers. n_readers: layers of the decoder that reads this stack, 0 = none does.
    n_runs: how many layers its block computes. sublayer: what a residual stands around, by its
    name in the block (attention, cross, ffn ...); empty where it is several added up.
    """

    layer: int = 0
    n_layers: int = 1
    causal: bool = True
    cross: bool = False
    reads_source: bool = False
    n_readers: int = 0
    n_runs: int = 1
    sublayer: str = ""

    def alone(self, name: str) -> int:
        """The layer, for a component that differs between layers; `name` is its group=option.

        Raises ValueError where one block computes several layers.
        """
        if self.n_runs > 1:
            raise ValueError(f"{name} tells layers apart that share one block; use depth=plain")
        return self.layer


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
        if name.endswith("residual"):
            there = replace(there, sublayer=name.removesuffix("residual").removesuffix("_"))
        setattr(module, name, settle(child, there))
    return module.settle(place) if isinstance(module, Settles) else module
