"""The contract of an adapter, and how it is put beside a layer, taken away again and merged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.block.base import Block
from lightning_transformer.nn.linear import FewOutputs
from lightning_transformer.nn.seeds import named_generator
from lightning_transformer.nn.stack import Stack

ATTRIBUTE = "adapter"  # of an adapted layer: names of the base stay what they are


@dataclass(frozen=True)
class Adapted:
    """What an adapter gives: the parameters that it trains, or None for all, and their rate.

    lr_mult: factor of all learning rates of the run, those of new parts as well. ValueError unless
    it is above 0.
    """

    trained: list[nn.Parameter] | None
    lr_mult: float

    def __post_init__(self) -> None:
        checks.positive("adapter.lr_mult", self.lr_mult, 10.0)


class Adapter(nn.Module):
    """Contract: what is added to one layer, as its child `adapter`.

    The layer's weights keep their names, roles and values; hooks pass what the layer reads through
    `reads` and what it gives through `forward`. Merging writes the same function into the layer's
    own weights. active: whether the layer computes with it, see `adapters_off`. unchanged_at_start:
    whether the model computes the same with its initial values as without it.
    """

    active = True
    unchanged_at_start: ClassVar[bool] = True

    def draw(self, layer: nn.Module, generator: Generator) -> None:
        """Give every parameter its initial value; layer: what it stands beside, or draws from."""
        raise NotImplementedError

    def reads(self, x: Tensor) -> Tensor:
        """The layer's input (..., D) -> what it reads instead."""
        return x

    def forward(self, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """The layer's input (..., D) and output (..., E) -> the adapted output (..., E)."""
        return y

    def merge(self, layer: nn.Module) -> None:
        """Change the layer's weights to what it computes with the adapter; not every kind can."""
        raise NotImplementedError


def train_only(model: nn.Module, trained: Iterable[nn.Parameter], new: Sequence[str]) -> None:
    """Freeze all but what an adapter trains and what a run adds to the model that it starts from.

    new: names of parameters. One that modules share is new if all of its names are.
    Raises ValueError where nothing is left to train.
    """
    names: dict[nn.Parameter, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, set()).add(name)
    kept = {p for p, own in names.items() if own <= set(new)} | set(trained)
    if not kept:
        raise ValueError(
            "adapter=head leaves nothing to train: this run adds no part to the model that it "
            "starts from; use adapter=lora, or draw a part anew, such as fresh=['task.*']"
        )
    for parameter in names:
        parameter.requires_grad_(parameter in kept)


def targeted(model: nn.Module, targets: Sequence[str]) -> list[tuple[str, nn.Linear]]:
    """The linear layers of blocks whose names end in a target; ``up`` is ``..ffn.up.0`` as well.

    Left out are those with an output per head or expert, such as routers, whose weights may be read
    without calling them.
    Raises ValueError for no target, and for one that is the name of no such layer.
    """
    texts = isinstance(targets, list | tuple) and all(isinstance(t, str) for t in targets)
    if not targets or not texts:
        raise ValueError(f"adapter.targets={targets} must be a list of names, such as [q,v]")
    found: dict[str, list[tuple[str, nn.Linear]]] = {}
    for name, module in _layers(model):
        last = [part for part in name.split(".") if not part.isdigit()][-1]
        found.setdefault(last, []).append((name, module))
    for target in targets:
        if target not in found:
            raise ValueError(
                f"adapter.targets={target} matches no layer of this model; choose from "
                f"[{','.join(sorted(found))}]"
            )
    return [pair for target in dict.fromkeys(targets) for pair in found[target]]


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for block_name, block in model.named_modules():
        if not isinstance(block, Block):
            continue
        for name, module in block.named_modules(prefix=block_name):
            if isinstance(module, nn.Linear) and not isinstance(module, FewOutputs):
                yield name, module


def attach(layer: nn.Module, adapter: Adapter, seed: int, name: str) -> list[nn.Parameter]:
    """Put an adapter beside a layer, with initial values from (seed, name); its parameters."""
    assert not hasattr(layer, ATTRIBUTE)
    give_values(adapter, layer, seed, name)
    layer.add_module(ATTRIBUTE, adapter)
    if type(adapter).reads is not Adapter.reads:
        layer.register_forward_pre_hook(_adapt_input)
    if type(adapter).forward is not Adapter.forward:
        layer.register_forward_hook(_adapt_output)
    return list(adapter.parameters())


def give_values(adapter: Adapter, source: nn.Module, seed: int, name: str) -> None:
    """Initial values from (seed, name), in the dtype of a source, which they may be drawn from."""
    weight = next(source.parameters())
    adapter.to(dtype=weight.dtype)
    if not any(p.is_meta for p in (weight, *adapter.parameters())):
        with torch.no_grad():
            adapter.draw(source, named_generator(seed, f"{name}.{ATTRIBUTE}"))


def stacks_of(model: nn.Module) -> list[tuple[str, Stack]]:
    """The stacks of a model by name."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, Stack)]


def take_positions(model: Any, n: int, option: str) -> None:
    """Leave the first n positions to an adapter; where positions are learned, rows are shorter.

    Raises ValueError where none are left for a row.
    """
    for _, stack in stacks_of(model):
        table = getattr(stack.position, "table", None)
        if isinstance(table, nn.Embedding):
            model.max_len = min(model.max_len, table.num_embeddings - n)
            if model.max_len < 1:
                raise ValueError(
                    f"n_tokens={n} of adapter={option} takes all {table.num_embeddings} learned "
                    "positions; use fewer, or a larger model.max_len"
                )


def merge_adapters(model: nn.Module) -> None:
    """Write all adapters into the weights of their layers and take them away.

    Raises ValueError where one cannot be merged; the model is unchanged then.
    """
    adapted = [
        (module, adapter)
        for module in model.modules()
        if isinstance(adapter := getattr(module, ATTRIBUTE, None), Adapter)
    ]
    for _, adapter in adapted:
        if type(adapter).merge is Adapter.merge:
            raise ValueError(f"{type(adapter).__name__} cannot be merged into a layer's weights")
    with torch.no_grad():
        for layer, adapter in adapted:
            adapter.merge(layer)
            delattr(layer, ATTRIBUTE)
            for hooks in (layer._forward_hooks, layer._forward_pre_hooks):
                for key in [key for key, hook in hooks.items() if hook in _HOOKS]:
                    del hooks[key]


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Within, the model computes what its own weights do, as if it had no adapters."""
    adapters = [module for module in model.modules() if isinstance(module, Adapter)]
    assert all(adapter.unchanged_at_start for adapter in adapters), "others cannot be off"
    for adapter in adapters:
        adapter.active = False
    try:
        yield
    finally:
        for adapter in adapters:
            adapter.active = True


def only_adapters_train(model: nn.Module) -> bool:
    """Whether nothing but adapters is trained, and the model without them is that of the start."""
    adapters = [module for module in model.modules() if isinstance(module, Adapter)]
    if not all(adapter.unchanged_at_start for adapter in adapters):
        return False
    own = {parameter for adapter in adapters for parameter in adapter.parameters()}
    return bool(own) and all(p in own for p in model.parameters() if p.requires_grad)


def draw_uniform(weight: Tensor, generator: Generator) -> None:
    """U(-1/sqrt(d_in), 1/sqrt(d_in)), the default of torch's linear layers; on the CPU, float32."""
    bound = 1 / math.sqrt(weight.shape[1])
    weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))


def _adapt_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
    adapter = layer.adapter
    assert isinstance(adapter, Adapter)
    return (adapter.reads(inputs[0]) if adapter.active else inputs[0],)


def _adapt_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    adapter = layer.adapter
    assert isinstance(adapter, Adapter)
    if not adapter.active:
        return output
    adapted: Tensor = adapter(layer, inputs[0], output)
    return adapted


_HOOKS = (_adapt_input, _adapt_output)
