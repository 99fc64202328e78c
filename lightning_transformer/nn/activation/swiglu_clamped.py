"""SwiGLU with clamped inputs (OpenAI 2025, gpt-oss)."""

from torch import Tensor, nn

from lightning_transformer.nn import checks


class SwiGLUClamped(nn.Module):
    """SwiGLU with bounded inputs and a value that passes at zero, as in gpt-oss (OpenAI 2025).

    g * sigmoid(slope * g) * (u + 1), g = min(gate, limit), u = up clipped to [-limit, limit].

    Shape: gate and up of one shape -> same.
    """

    n_inputs = 2

    def __init__(self, *, limit: float = 7.0, slope: float = 1.702) -> None:
        checks.positive("limit", limit, 7.0)
        checks.positive("slope", slope, 1.702)
        super().__init__()
        self.limit, self.slope = limit, slope

    def forward(self, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.clamp(max=self.limit), up.clamp(-self.limit, self.limit)
        return gate * (self.slope * gate).sigmoid() * (up + 1)
