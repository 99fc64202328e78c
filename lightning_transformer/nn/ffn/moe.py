"""Mixture of experts with a softmax router (Shazeer et al. 2017)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.ffn.dense import Dense, hidden_width
from lightning_transformer.nn.ffn.experts import Experts
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.linear import FewOutputs
from lightning_transformer.nn.types import ActivationFactory

MULTIPLE = 8  # sizes in which GPUs multiply grouped matrices


class Routing(NamedTuple):
    """How one layer routed one micro-batch: logits (B, T, E), chosen experts (B, T, top_k)."""

    logits: Tensor
    chosen: Tensor


class MoE(nn.Module):
    """Mixture of experts: a router sends each token to top_k of n_experts feed-forward layers.

        s = softmax(router(x));  y = scale sum_{e in top-k(s + b)} w_e expert_e(x) + shared(x)

    w_e = s_e, divided by the sum over those chosen if normalise (Shazeer et al. 2017; Lepikhin et
    al. 2020). No token is dropped. Layers first, first + every, ... have experts; the others a
    dense layer with as many active weights. shared: n_shared experts in one that all tokens use
    (Dai et al. 2024). What keeps the load even is added to the training objective, or to s:

        aux_loss  a E sum_e f_e P_e: f_e share of choices, P_e mean of s_e / sum s (Fedus et al.
                  2021), over the real tokens of a micro-batch
        z_loss    z mean logsumexp(logits)^2 (Zoph et al. 2022)
        bias_rate b_e += u sign(mean load - load_e) after each optimizer step, load over all of its
                  batch; b moves the choice and not the weights (Wang et al. 2024)

    Logits and scores are computed in float32 at least. Shape: (B, T, D) -> (B, T, D).
    """

    bias_steps: Tensor | None  # b / bias_rate: integers, exact in any precision of the weights

    def __init__(
        self,
        dim: int,
        *,
        activation: ActivationFactory,
        n_experts: int = 8,
        top_k: int = 2,
        n_shared: int = 0,
        hidden_mult: float = 2.0,
        round_to: int = 8,
        normalise: bool = True,
        scale: float = 1.0,
        first: int = 0,
        every: int = 1,
        aux_loss: float = 0.01,
        z_loss: float = 0.001,
        bias_rate: float = 0.0,
    ) -> None:
        super().__init__()
        checks.at_least("n_experts", n_experts, 2)
        checks.between("top_k", top_k, 1, n_experts)
        if normalise and top_k == 1:
            raise ValueError(
                "ffn.normalise=true with ffn.top_k=1 makes every weight 1, so that the router "
                "gets no gradient; use ffn.normalise=false or ffn.top_k=2"
            )
        checks.at_least("n_shared", n_shared, 0)
        checks.positive("hidden_mult", hidden_mult, 2.0)
        checks.at_least("round_to", round_to, 1)
        checks.positive("scale", scale, 1.0)
        checks.at_least("first", first, 0)
        checks.at_least("every", every, 1)
        checks.non_negative("aux_loss", aux_loss, 0.01)
        checks.non_negative("z_loss", z_loss, 0.001)
        checks.non_negative("bias_rate", bias_rate, 0.001)
        _check_widths(dim, round_to)
        self.dim, self.activation_factory = dim, activation
        self.n_experts, self.top_k, self.n_shared = n_experts, top_k, n_shared
        self.round_to, self.n_inputs = round_to, activation().n_inputs
        self.hidden = hidden_width(dim, self.n_inputs, hidden_mult, round_to)
        self.normalise, self.scale = normalise, scale
        self.first, self.every = first, every
        self.aux_loss, self.z_loss, self.bias_rate = aux_loss, z_loss, bias_rate
        self.router = FewOutputs(dim, n_experts, bias=False)
        self.experts = Experts(
            dim, self.hidden, n_experts=n_experts, top_k=top_k, activation=activation
        )
        if n_shared:
            self.shared = self._dense(n_shared)
        steps = torch.zeros(n_experts, dtype=torch.int64) if bias_rate else None
        self.register_buffer("bias_steps", steps)
        # A list from `record_routings` to `take_routings`, so that a block that activation
        # checkpointing computes again in the backward pass adds none.
        self.routings: list[Routing] | None = None

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        """Itself, or a dense layer in layers without experts."""
        if self.first >= info.n_layers:
            raise ValueError(
                f"ffn.first={self.first} leaves no layer of {info.n_layers} with experts; "
                f"use at most {info.n_layers - 1}"
            )
        due = info.layer >= self.first and (info.layer - self.first) % self.every == 0
        return self if due else self._dense(self.top_k + self.n_shared)

    def _dense(self, n: int) -> Dense:
        """As wide as n experts."""
        return Dense(
            self.dim,
            activation=self.activation_factory,
            hidden_mult=self.hidden * n * (self.n_inputs + 1) / (2 * self.dim),
            round_to=self.round_to,
        )

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            exact = torch.promote_types(x.dtype, torch.float32)
            logits = F.linear(x.to(exact), self.router.weight.to(exact))
        scores = self.scores(logits)
        choice = scores if self.bias_steps is None else scores + self.bias_rate * self.bias_steps
        chosen = choice.detach().topk(self.top_k, dim=-1).indices
        weights = scores.gather(-1, chosen)
        if self.normalise:
            weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-20)
        weights = (self.scale * weights).flatten(0, -2)
        y = self.experts(x.flatten(0, -2), chosen.flatten(0, -2), weights).view(x.shape)
        if self.n_shared:
            y = y + self.shared(x)
        if self.routings is not None:
            self.routings.append(Routing(logits, chosen))
        return y

    def record_routings(self) -> None:
        """Keep the routing of each forward pass, until `take_routings`."""
        self.routings = []

    def take_routings(self) -> list[Routing]:
        """Return the routings since `record_routings` and stop recording."""
        assert self.routings is not None, "record_routings() comes first"
        routings, self.routings = self.routings, None
        return routings

    def scores(self, logits: Tensor) -> Tensor:
        """(..., E) -> same, each above zero."""
        return logits.softmax(dim=-1)

    def load(self, routing: Routing, real: Tensor) -> Tensor:
        """How many real tokens chose each expert: (E,) long. real: (B, T), False = pad."""
        counts = real.new_zeros(self.n_experts, dtype=torch.int64)
        votes = real.long()[..., None].expand_as(routing.chosen)
        return counts.scatter_add_(0, routing.chosen.flatten(), votes.flatten())

    def auxiliary(self, routing: Routing, real: Tensor, load: Tensor) -> Tensor:
        """What this layer adds to the objective, per token: a mean over the real ones."""
        logits = routing.logits.masked_fill(~real[..., None], 0.0)
        n_real = real.sum().clamp(min=1)
        added = logits.new_zeros(())
        if self.aux_loss:
            scores = self.scores(logits)
            shares = (scores / scores.sum(dim=-1, keepdim=True)) * real[..., None]
            chosen = load / (n_real * self.top_k)
            mean = shares.flatten(0, -2).sum(dim=0) / n_real
            added = added + self.aux_loss * self.n_experts * (chosen * mean).sum()
        if self.z_loss:
            squared = logits.logsumexp(dim=-1).square() * real
            added = added + self.z_loss * squared.sum() / n_real
        return added


def _check_widths(dim: int, round_to: int) -> None:
    for name, size in (("model.d_model", dim), ("ffn.round_to", round_to)):
        if size % MULTIPLE:
            near = -(-size // MULTIPLE) * MULTIPLE
            raise ValueError(f"{name}={size} must be a multiple of 8 for experts; use {near}")
