"""The load of experts: auxiliary losses, biases and what is logged of it."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.nn.stack import Stack
from lightning_transformer.tasks.base import Batch


class ExpertLoad:
    """What a model's layers with experts add to its objective, and how even their load is.

    Counts stay on the device, so that no training step waits for them; of a model without experts
    nothing is done. Tokens are those that are not padding, whether or not a mask was needed,
    and memory tokens.
    """

    def __init__(self, model: nn.Module, pad_id: int) -> None:
        self.pad_id = pad_id
        stacks = [module for module in model.modules() if isinstance(module, Stack)]
        self.layers = [
            (layer, stack)
            for stack in stacks
            for layer in stack.modules()
            if isinstance(layer, MoE)
        ]
        self._of_step: Tensor | None = None  # (L, E) choices, and how many were due
        self._since_log: Tensor | None = None  # the same

    def listen(self) -> None:
        """Let the layers say how they route, until `join`."""
        for layer, _ in self.layers:
            layer.record_routings()

    def join(self, objective: Tensor, batch: Batch) -> Tensor:
        """Add to the objective of a micro-batch, a sum over its targets, and count its load.

        The layers give means over its tokens; a micro-batch weighs as much as it has targets, so
        that what is minimised is the mean over the optimizer step.
        """
        if not self.layers:
            return objective
        read = (batch.input_ids, batch.source_ids)
        real = [None if ids is None else ids != self.pad_id for ids in read]
        added, counts = [], []
        for layer, stack in self.layers:
            # A stack that another one reads is an encoder, and reads the source.
            tokens = real[stack.n_readers > 0]
            assert tokens is not None
            seen = F.pad(tokens, (stack.memory_tokens.n_tokens, 0), value=True)
            routings = layer.take_routings()
            assert routings, "the model read no batch since listen()"
            due = seen.sum() * layer.top_k
            loads = [layer.load(routing, seen) for routing in routings]
            counts.append(torch.cat((sum(loads[1:], loads[0]), (due * len(loads))[None])))
            added += [
                layer.auxiliary(routing, seen, load)
                for routing, load in zip(routings, loads, strict=True)
            ]
        load = torch.stack(counts)
        self._of_step = load if self._of_step is None else self._of_step + load
        self._since_log = load if self._since_log is None else self._since_log + load
        return objective + batch.n_targets * torch.stack(added).sum()

    @torch.no_grad()
    def balance(self, total: Callable[[Tensor], Any]) -> None:
        """Move the biases of the choice, once per optimizer step; total sums over processes."""
        load, self._of_step = self._of_step, None
        if load is None or not any(layer.bias_rate for layer, _ in self.layers):
            return
        chosen = total(load.clone())[:, :-1]
        # sign(mean load - load), in whole numbers
        signs = (chosen.sum(dim=1, keepdim=True) - chosen.shape[1] * chosen).sign()
        for (layer, _), sign in zip(self.layers, signs, strict=True):
            if layer.bias_steps is not None:
                layer.bias_steps += sign

    def statistics(self, total: Callable[[Tensor], Any]) -> dict[str, float]:
        """Since last asked, over all processes; waits for the device.

        moe/imbalance: load of the busiest expert / mean load, mean over layers; 1 = even.
        moe/dropped: share of choices that no expert computed.
        """
        load, self._since_log = self._since_log, None
        if load is None:
            return {}
        counts = total(load.clone()).cpu().double()
        chosen, due = counts[:, :-1], counts[:, -1]
        worst = chosen.max(dim=1).values / chosen.mean(dim=1).clamp(min=1e-9)
        dropped = 1 - chosen.sum() / due.sum().clamp(min=1)
        return {"moe/imbalance": float(worst.mean()), "moe/dropped": float(dropped)}
