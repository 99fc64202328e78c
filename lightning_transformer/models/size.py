"""How big a model is and what a token costs, counted on the model itself.

torch's FlopCounterMode needs a forward pass, counts every pair of query and key, whatever the mask
hides, and counts no fused attention at all on a CPU; tests hold the counts here against it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.memory_tokens.base import widened
from lightning_transformer.nn.stack import Stack
from lightning_transformer.optim.trained_set import trained_parameters
from lightning_transformer.tasks.batch import Batch

ALL = 3  # forward, gradient of what is read, gradient of the weights


@runtime_checkable
class CountsFlops(Protocol):
    """A module that multiplies other matrices than those of linear layers.

    flops: of one token, forward, where a query sees so many keys on average.
    """

    def flops(self, keys: float) -> float: ...


@runtime_checkable
class HasInactive(Protocol):
    """A module of which a token uses a part only, such as experts."""

    def inactive_params(self) -> int: ...


@dataclass(frozen=True)
class Size:
    """n_params counts tied weights once; flops_per_token are those of a training step.

    n_params_active: without embeddings, those that one token uses. n_frozen: those of n_params that
    are not trained.
    """

    n_params: int
    n_params_non_embedding: int
    n_params_active: int
    flops_per_token: float
    n_frozen: int = 0


class Passes:
    """Of a module: 1 forward, 1 for the gradient of its input, 1 for that of its weights.

    Where all is trained each has three (Kaplan et al. 2020). Frozen weights have no gradient, and
    below the lowest trained ones nothing has: which inputs need one is seen in a forward pass over
    two tokens, which a model without frozen weights is spared.
    """

    def __init__(self, model: Transformer) -> None:
        frozen = any(not parameter.requires_grad for parameter in model.parameters())
        self._seen = _inputs_with_gradient(model) if frozen else None

    def of(self, module: nn.Module) -> int:
        """How many times a step computes what the module computes once forward."""
        if self._seen is None:
            return ALL
        needed = self._seen.get(id(module), False)
        if isinstance(module, nn.Linear):
            return 1 + needed + module.weight.requires_grad
        # Products of activations, such as scores, have two gradients or none.
        return ALL if needed or any(p.requires_grad for p in module.parameters()) else 1


def measure(model: Transformer, seq_len: int) -> Size:
    """Count parameters, and matrix-multiplication FLOPs per token at rows of seq_len tokens.

    A training step costs three forward passes (Kaplan et al. 2020), less where weights are frozen
    (`Passes`). Forward, per token: 2 FLOPs per weight of a linear layer, and what a module says of
    itself (`CountsFlops`). A model with a
    source counts source and target tokens alike, with seq_len of each, or as many target tokens as
    the task has. Memory tokens are computed with those of their row, and not counted among them.
    What a prefix sees ahead, with task=prefix_lm, is not counted.
    """
    n_params = sum(p.numel() for p in model.parameters())
    tables = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    stacks = [m for m in model.modules() if isinstance(m, Stack)]
    # The last stack is the decoder, if there are two.
    lengths = [*[seq_len for _ in stacks[1:]], model.task.n_target_tokens or seq_len]
    passes, task = Passes(model), model.task
    per_row: float = lengths[-1] * (
        _linear_flops(task, passes) + (task.head_uses - 1) * _linear_flops(task.head, passes)
    )
    for stack, n in zip(stacks, lengths, strict=True):
        per_row += n * _linear_flops(model.embedding, passes)
        per_row += _stack_flops(stack, passes, n, seq_len)
    n_tokens = sum(lengths)
    n_other = n_params - sum(table.numel() for table in tables.values())
    unused = sum(m.inactive_params() for m in model.modules() if isinstance(m, HasInactive))
    n_frozen = n_params - sum(p.numel() for p in trained_parameters(model))
    return Size(n_params, n_other, n_other - unused, per_row / n_tokens, n_frozen)


def _linear_flops(module: nn.Module, passes: Passes) -> int:
    layers = [m for m in module.modules() if isinstance(m, nn.Linear)]
    return sum(2 * m.weight.numel() * passes.of(m) for m in layers)


def _stack_flops(stack: Stack, passes: Passes, seq_len: int, source_len: int) -> float:
    """FLOPs of a row in one stack in a step, each layer counted as often as it is run through.

    source_len: of the row that cross-attention reads.
    """
    places, n_memory = torch.arange(seq_len), stack.memory_tokens.n_tokens
    n_rows, total = seq_len + n_memory, 0.0
    for number, pattern in zip(stack.order, stack.patterns, strict=True):
        mask = pattern(places[:, None], places[None, :]).expand(seq_len, seq_len)
        mask = widened(mask, n=n_memory, n_new=n_memory, causal=stack.causal)
        keys = float(mask.sum(dim=1).float().mean())
        for name, module in stack.blocks[number].named_modules():
            n_passes = passes.of(module)
            if isinstance(module, nn.Linear):
                of_source = name.startswith(("cross.k", "cross.v"))
                n_read = source_len if of_source else n_rows
                total += 2 * module.weight.numel() * n_read * n_passes
            elif isinstance(module, CountsFlops):
                flops = module.flops(source_len if name.endswith("cross") else keys)
                total += n_rows * flops * n_passes
    n_passes = passes.of(stack.final_read)
    if isinstance(stack.final_read, CountsFlops):
        total += n_rows * stack.final_read.flops(0.0) * n_passes
    return total


def _inputs_with_gradient(model: Transformer) -> dict[int, bool]:
    """id of a module -> whether what it reads needs a gradient."""
    seen: dict[int, bool] = {}

    def look(module: nn.Module, inputs: tuple[object, ...]) -> None:
        tensors = [x for x in inputs if isinstance(x, torch.Tensor)]
        needed = any(x.requires_grad for x in tensors)
        seen[id(module)] = seen.get(id(module), False) or needed

    handles = [module.register_forward_pre_hook(look) for module in model.modules()]
    was_training, device = model.training, next(model.parameters()).device
    ids = torch.zeros(1, 2, dtype=torch.long, device=device)
    batch = Batch.without_labels(ids)
    if model.has_source:
        batch = batch._replace(source_ids=ids)
    try:
        with torch.enable_grad():
            model.eval()
            features = model(batch)
            model.task.scores(features, batch)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return seen
