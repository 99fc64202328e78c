"""How a model is cut over processes: each layer by its heads and columns, or all weights in shards.

Tensor parallelism (Shoeybi et al. 2019, Megatron-LM), over the mesh `tensor_parallel`:

    attention  q, k, v by heads (columns), out by rows: each process has its heads, outputs are
               added up; a norm of queries and keys is shared, its gradient is added up
    ffn        up by columns, down by rows: likewise
    the rest   embedding, norms, head: complete on every process, and computed there alike

Fully sharded data parallelism (`fully_shard`), over the mesh `data_parallel`: each block, then what
is left. With both, the parts of a layer are cut once more.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.distributed.tensor.parallel.style import ParallelStyle

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.canon import Canon
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.seeds import seed_of
from lightning_transformer.nn.stack import Stack

HEADS = 1  # the dimension of the heads in (B, H, T, K)


def check_parallel(model: nn.Module, degree: int) -> None:
    """Refuse what cannot be cut, and a degree that does not divide heads and widths.

    Raises ValueError, which lists the degrees that are possible.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim == 0:
            raise ValueError(
                f"trainer.strategy shards no parameter without a dimension, such as {name}; "
                "give it the shape (1,), or use trainer=ddp"
            )
    if degree == 1:
        return
    for module in model.modules():
        if isinstance(module, Canon) and (module.projections or module.hidden):
            raise ValueError(
                f"trainer.strategy.tensor_parallel_size={degree} parts heads and hidden units, and "
                "block.positions with b or d mixes them whole; use trainer=fsdp2 or trainer=ddp"
            )
    sizes: dict[str, int] = {}
    for name, layer in _layers(model):
        if type(layer) is MultiHeadAttention:
            if not layer.qk_norm_per_head:
                raise ValueError(
                    f"trainer.strategy.tensor_parallel_size={degree} parts the heads, over all of "
                    "which attention.qk_norm_per_head=false norms; use true, or trainer=fsdp2"
                )
            for norm in (layer.q_norm, layer.k_norm):
                nested = [name for name, _ in norm.named_parameters() if "." in name]
                if nested:
                    raise ValueError(
                        f"trainer.strategy.tensor_parallel_size={degree} cannot replicate "
                        f"{nested[0]} of qk_norm={type(norm).__name__}, a parameter of a module in "
                        "it; use qk_norm=rmsnorm or trainer=fsdp2"
                    )
            sizes["attention.n_heads"] = layer.n_heads
            sizes["attention.n_kv_heads"] = layer.n_kv_heads
        elif type(layer) is Dense and not list(layer.activation.parameters()):
            sizes["the width of the feed-forward layer"] = layer.down.in_features
        else:
            kind = name.rsplit(".", 1)[-1]
            raise ValueError(
                f"trainer.strategy.tensor_parallel_size={degree} cannot cut "
                f"{type(layer).__name__} ({kind}); use trainer=fsdp2 or trainer=ddp"
            )
    for what, size in sizes.items():
        if size % degree:
            possible = [n for n in range(1, size + 1) if not any(s % n for s in sizes.values())]
            raise ValueError(
                f"trainer.strategy.tensor_parallel_size={degree} does not divide {what}={size}; "
                f"possible here: {', '.join(map(str, possible))}"
            )


def parallelise(
    model: nn.Module, mesh: DeviceMesh, *, gathered_in: torch.dtype | None = None
) -> None:
    """Cut a model over a mesh with the dimensions data_parallel and tensor_parallel, in place.

    gathered_in: the dtype of gathered weights, and of their gradients, which are added up over the
    processes in float32 then; None = that of the shards, for all of them.
    """
    tensor, data = mesh["tensor_parallel"], mesh["data_parallel"]
    if tensor.size() > 1:
        check_parallel(model, tensor.size())
        trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
        for _, layer in _layers(model):
            parallelize_module(layer, tensor, _plan(layer))
            if isinstance(layer, MultiHeadAttention):
                layer.register_forward_pre_hook(partial(_own_heads, tensor))
                layer.register_forward_pre_hook(partial(_own_numbers, tensor))
                layer.register_forward_hook(_common_numbers)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trained[name])  # torch trains every norm that it replaces
    if data.size() > 1 or tensor.size() == 1:
        # What autocast leaves in float32, such as the residual stream, is not cast between blocks.
        policy = MixedPrecisionPolicy(
            param_dtype=gathered_in,
            reduce_dtype=None if gathered_in is None else torch.float32,
            cast_forward_inputs=gathered_in is None,
        )
        for stack in _stacks(model):
            for block in stack.blocks:
                fully_shard(block, mesh=data, mp_policy=policy)
        fully_shard(model, mesh=data, mp_policy=policy)


def is_parallel(model: nn.Module) -> bool:
    """Whether `parallelise` has cut this model."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def gather_blocks(model: nn.Module) -> None:
    """Let every process hold all blocks until `release_blocks`, for steps that differ in number.

    Generating takes as many steps as the longest answer of a process; where each step gathers
    shards, a process with more of them would wait for the others for ever.
    """
    for block in _shards(model):
        block.set_reshard_after_forward(False)
        block.unshard()


def release_blocks(model: nn.Module) -> None:
    """Undo `gather_blocks`."""
    for block in _shards(model):
        block.set_reshard_after_forward(True)
        block.reshard()


def _stacks(model: nn.Module) -> Iterator[Stack]:
    return (module for module in list(model.modules()) if isinstance(module, Stack))


def _shards(model: nn.Module) -> Iterator[FSDPModule]:
    blocks = (block for stack in _stacks(model) for block in stack.blocks)
    return (block for block in blocks if isinstance(block, FSDPModule))


def _layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Attention and feed-forward layers of all blocks, by name."""
    for stack in _stacks(model):
        for block in stack.blocks:
            for name in ("attention", "cross", "first_ffn", "ffn"):
                if hasattr(block, name):
                    yield name, getattr(block, name)


def _plan(layer: nn.Module) -> dict[str, ParallelStyle]:
    if isinstance(layer, Dense):
        columns = {f"up.{i}": ColwiseParallel() for i in range(len(layer.up))}
        return {**columns, "down": RowwiseParallel()}
    norm = SequenceParallel(sequence_dim=HEADS, use_local_output=True)
    return {
        **{name: ColwiseParallel() for name in "qkv"},
        **{name: norm for name in ("q_norm", "k_norm") if list(getattr(layer, name).parameters())},
        "out": RowwiseParallel(),
    }


def _own_heads(
    mesh: DeviceMesh, layer: MultiHeadAttention, args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Cut masks and biases that differ between heads to the heads of this process."""
    x, context, *rest = args
    assert isinstance(context, AttentionContext)
    mask = _cut_heads(context.mask, layer.n_heads, mesh)
    bias = _cut_heads(context.bias, layer.n_heads, mesh)
    return x, replace(context, mask=mask, bias=bias), *rest


def _cut_heads(value: Tensor | None, n_heads: int, mesh: DeviceMesh) -> Tensor | None:
    if value is None or value.ndim < 3 or value.shape[-3] != n_heads:
        return value
    replicated = DTensor.from_local(value, mesh, [Replicate()], run_check=False)
    # Backwards the parts of all processes come together again, should the bias be learned.
    return replicated.redistribute(mesh, [Shard(value.ndim - 3)]).to_local()


def _own_numbers(mesh: DeviceMesh, layer: Any, args: tuple[Any, ...]) -> None:
    """Let attention dropout draw other masks for the heads of each process."""
    if not layer.training or not layer.dropout:
        return
    generator = _generator(args[0].device)
    torch.empty(1, device=args[0].device).uniform_()  # or the next layer would draw the same
    layer.common_numbers = generator, generator.get_state()
    own = bytes(layer.common_numbers[1].numpy()) + bytes([mesh.get_local_rank() % 256])
    generator.manual_seed(seed_of(own))


def _common_numbers(layer: Any, args: tuple[Any, ...], output: Tensor) -> None:
    """After attention, processes draw the same numbers again: the stream is the same on all."""
    if layer.training and layer.dropout:
        generator, state = layer.common_numbers
        generator.set_state(state)


def _generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index]
    return torch.default_generator
