"""The position of a layer in its stack, for components that depend on it."""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import nn


@dataclass(frozen=True)
class LayerInfo:
    """Layer number `layer`, from 0, of the `n_layers` of a stack.

    causal: no position sees a later one. cross: reads a source, not its own row. reads_source: its
    stack has such layers. n_readers: layers of the decoder that reads this stack, 0 = none does.
    n_runs: how many layers its block computes. sublayer: what a residual wraps, by its
    name in the block (attention, cross, ffn ...); empty where it is several added up. vocab_size:
    of the token ids that the stack is given; 0 = it is given none.
    """

    layer: int = 0
    n_layers: int = 1
    causal: bool = True
    cross: bool = False
    reads_source: bool = False
    n_readers: int = 0
    n_runs: int = 1
    sublayer: str = ""
    vocab_size: int = 0

    def unshared_layer(self, name: str) -> int:
        """The layer, for a component that differs between layers; `name` is its group=option.

        Raises ValueError where one block computes several layers.
        """
        if self.n_runs > 1:
            raise ValueError(
                f"{name} differs between layers, and one block computes several; "
                "use layer_sharing=none"
            )
        return self.layer


@runtime_checkable
class ConfiguresLayer(Protocol):
    """A component that depends on its layer.

    `configure_layer` is called once, before weights get their initial values. It returns the
    module to use there: itself, or another. Raises ValueError where the component cannot work.
    """

    def configure_layer(self, info: LayerInfo) -> nn.Module: ...


def configure_layer(module: nn.Module, info: LayerInfo) -> nn.Module:
    """Configure a module and all below it for their layer; return the module to use."""
    for name, child in list(module.named_children()):
        child_info = replace(info, cross=True, causal=False) if name == "cross" else info
        if name.endswith("residual"):
            sublayer = name.removesuffix("residual").removesuffix("_")
            child_info = replace(child_info, sublayer=sublayer)
        setattr(module, name, configure_layer(child, child_info))
    return module.configure_layer(info) if isinstance(module, ConfiguresLayer) else module


def option_name(module: object) -> str:
    """The name of the option that a component is, which is that of its Python module."""
    return type(module).__module__.rpartition(".")[2]
