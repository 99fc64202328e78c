"""No position encoding (Kazemnejad et al. 2023)."""

from lightning_transformer.nn.position.base import PositionEncoding


class NoPosition(PositionEncoding):
    """No position encoding (NoPE, Kazemnejad et al. 2023).

    A causal mask still lets order through; a bidirectional model then sees a bag of tokens.
    """
