"""A stack of blocks applied several times."""

from dataclasses import dataclass

from lightning_transformer.nn import checks
from lightning_transformer.nn.layer_sharing.base import LayerSharing

MAX_LOOPS = 1000


@dataclass(frozen=True)
class Looped(LayerSharing):
    """All blocks, one after the other, several times over: 0 1 0 1 for two layers and two loops.

    As many weights as layer_sharing=none, n_loops times the computation (Giannou et al. 2023;
    Saunshi et al. 2025). The stack then runs through n_loops n_layers layers.
    """

    n_loops: int = 2

    def __post_init__(self) -> None:
        checks.between("n_loops", self.n_loops, 1, MAX_LOOPS)

    def order(self, n_layers: int) -> tuple[int, ...]:
        return tuple(range(n_layers)) * self.n_loops
