"""The feed-forward layers of a mixture of experts, computed together."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import Init, StackInfo
from lightning_transformer.nn.parameter_roles import Role
from lightning_transformer.nn.types import ActivationFactory


class Experts(nn.Module):
    """n_experts feed-forward layers, of which every token uses top_k.

        y_t = sum over e chosen by t of w_te down_e(activation(up_e(x_t)))

    bfloat16, and where nothing is compiled float32 and float16 too, sort tokens by expert and call
    `F.grouped_mm`, without waiting for the device in bfloat16. What that lacks, such as float64,
    has every expert compute every token: n_experts / top_k times the work, the same result.

    Shape: x (N, D), chosen (N, top_k) long, weights (N, top_k) -> (N, D).
    """

    param_roles: ClassVar[Mapping[str, Role]] = {"up": Role.WEIGHT, "down": Role.WEIGHT}

    def __init__(
        self, dim: int, hidden: int, *, n_experts: int, top_k: int, activation: ActivationFactory
    ) -> None:
        super().__init__()
        self.n_experts, self.top_k = n_experts, top_k
        self.activation = activation()
        self.up = nn.Parameter(torch.empty(n_experts, self.activation.n_inputs * hidden, dim))
        self.down = nn.Parameter(torch.empty(n_experts, dim, hidden))

    def init_weights(self, scheme: Init, info: StackInfo, generator: Generator) -> None:
        """Draw each expert as its two or three linear layers."""
        for expert in range(self.n_experts):
            for part in self.up[expert].chunk(self.activation.n_inputs):
                drawn = torch.empty(part.shape)
                scheme.linear(drawn, info, generator)
                part.copy_(drawn)
            drawn = torch.empty(self.down.shape[1:])
            scheme.residual_out(drawn, info, generator)
            self.down[expert].copy_(drawn)

    def flops(self, keys: float) -> float:
        """Of the experts that one token uses."""
        return 2 * self.top_k * (self.up[0].numel() + self.down[0].numel())

    def inactive_params(self) -> int:
        """Weights that one token does not use."""
        unused = self.n_experts - self.top_k
        return unused * (self.up[0].numel() + self.down[0].numel())

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        kind = x.device.type
        if torch.is_autocast_enabled(kind):  # autocast does not cover grouped_mm
            x = x.to(torch.get_autocast_dtype(kind))
        up, down = self.up.to(x.dtype), self.down.to(x.dtype)
        if _has_grouped_mm(x.dtype):
            return self._grouped(x, up, down, chosen, weights.to(x.dtype))
        return self._each(x, up, down, chosen, weights.to(x.dtype))

    def _grouped(
        self, x: Tensor, up: Tensor, down: Tensor, chosen: Tensor, weights: Tensor
    ) -> Tensor:
        expert, order = chosen.flatten().sort(stable=True)
        numbers = torch.arange(self.n_experts, device=x.device)
        ends = torch.searchsorted(expert, numbers, right=True).to(torch.int32)
        h = F.grouped_mm(x[order // self.top_k], up.mT, offs=ends)
        y = F.grouped_mm(self._activated(h), down.mT, offs=ends)
        y = y[order.argsort()].unflatten(0, (-1, self.top_k))  # in the order of the tokens
        return (y * weights[..., None]).sum(dim=1)

    def _each(self, x: Tensor, up: Tensor, down: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for expert in range(self.n_experts):
            here = chosen == expert
            share = (weights * here).sum(dim=-1, keepdim=True)
            out = F.linear(self._activated(F.linear(x, up[expert])), down[expert])
            y = torch.where(here.any(dim=-1, keepdim=True), y + share * out, y)
        return y

    def _activated(self, h: Tensor) -> Tensor:
        out = self.activation(*h.chunk(self.activation.n_inputs, dim=-1))
        assert isinstance(out, Tensor)
        return out


def _has_grouped_mm(dtype: torch.dtype) -> bool:
    if not hasattr(F, "grouped_mm"):
        return False
    if dtype == torch.bfloat16:
        return True
    # torch 2.13 computes these two as well, but cannot trace them.
    return dtype in (torch.float32, torch.float16) and not torch.compiler.is_compiling()
