"""RoPE in some layers only (Yang et al. 2025)."""

from typing import Any

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE


class RoPENoPE(RoPE):
    """Rotary embedding in n_rope layers, none in the next, and so on (Yang et al. 2025).

    Layers without rotation do not depend on distance; the others provide the order.
    The same cycle as that of pattern=local_global: with n_rope = pattern.n_local local layers are
    turned and global ones are not.
    """

    def __init__(self, *, n_rope: int = 3, **rotary: Any) -> None:
        super().__init__(**rotary)
        checks.at_least("n_rope", n_rope, 1)
        self.n_rope = n_rope

    def acts_on(self, layer: int) -> bool:
        return layer % (self.n_rope + 1) != self.n_rope
