"""Mixture of experts with a sigmoid router (DeepSeek-V3, 2024)."""

from typing import Any

from torch import Tensor

from lightning_transformer.nn.ffn.moe import MoE


class MoESigmoid(MoE):
    """Mixture of experts whose scores do not compete: s = sigmoid(router(x)) (DeepSeek-V3, 2024).

    Otherwise as `MoE`; the load is kept even by a bias of the choice and not by an auxiliary loss.

    Shape: (B, T, D) -> (B, T, D).
    """

    def __init__(
        self,
        dim: int,
        *,
        n_shared: int = 1,
        hidden_mult: float = 1.3333,
        aux_loss: float = 0.0,
        z_loss: float = 0.0,
        bias_rate: float = 0.001,
        **routed: Any,
    ) -> None:
        super().__init__(
            dim,
            n_shared=n_shared,
            hidden_mult=hidden_mult,
            aux_loss=aux_loss,
            z_loss=z_loss,
            bias_rate=bias_rate,
            **routed,
        )

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()
