"""Dense feed-forward layer (Vaswani et al. 2017)."""

from collections.abc import Iterable

from torch import Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.linear import ResidualOut
from lightning_transformer.nn.types import ActivationFactory


class Dense(nn.Module):
    """Feed-forward layer: down(activation(up(x))), every position by itself (Vaswani et al. 2017).

    A gated activation takes two inputs, so it has two up-projections; the width is then reduced so
    that the number of weights stays that of the plain layer: 2/3 (Shazeer 2020), rounded to the
    nearest multiple of round_to.

    Shape: (B, T, D) -> (B, T, D).
    """

    def __init__(
        self,
        dim: int,
        *,
        activation: ActivationFactory,
        hidden_mult: float = 4.0,
        round_to: int = 8,
        bias: bool = False,
    ) -> None:
        super().__init__()
        checks.positive("hidden_mult", hidden_mult, 4.0)
        checks.at_least("round_to", round_to, 1)
        self.activation = activation()
        n_inputs: int = self.activation.n_inputs
        hidden = hidden_width(dim, n_inputs, hidden_mult, round_to)
        self.up = nn.ModuleList(nn.Linear(dim, hidden, bias=bias) for _ in range(n_inputs))
        self.down = ResidualOut(hidden, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.inputs(x))

    def inputs(self, x: Tensor) -> list[Tensor]:
        """What the activation takes: n_inputs of shape (B, T, hidden)."""
        return [up(x) for up in self.up]

    def output(self, inputs: Iterable[Tensor]) -> Tensor:
        """(B, T, D) of what `inputs` gave."""
        return self.down(self.activation(*inputs))


def hidden_width(dim: int, n_inputs: int, hidden_mult: float, round_to: int) -> int:
    """The width at which n_inputs up-projections and one down have the weights of 1 + 1."""
    equal_weights = 2 * hidden_mult * dim / (n_inputs + 1)
    return max(round_to, round(equal_weights / round_to) * round_to)
