"""RoPE with NTK-aware scaling (bloc97 2023)."""

from typing import Any

from lightning_transformer.nn import checks
from lightning_transformer.nn.position.rope import RoPE


class RoPENTK(RoPE):
    """Rotary embedding with a base that grows with the length of rows (bloc97 2023, NTK-aware).

    base' = base factor^(K / (K - 2)): the slowest pair turns 1 / factor as fast, as with
    position=rope_linear, the fastest as fast as ever, so that near tokens stay apart.
    """

    def __init__(self, *, factor: float = 4.0, **rotary: Any) -> None:
        super().__init__(**rotary)
        checks.number_from("factor", factor, 1.0)
        if self.width < 4:
            raise ValueError(
                f"position=rope_ntk needs two frequency pairs in a head, fast and slow, and there "
                f"are {self.width} numbers; use position=rope_linear or wider heads"
            )
        self.base = self.base * factor ** (self.width / (self.width - 2))
