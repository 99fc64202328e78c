"""The contract of layer sharing."""


class LayerSharing:
    """Contract: which block computes each layer. A frozen value without weights."""

    def order(self, n_layers: int) -> tuple[int, ...]:
        """Numbers of the blocks in the order in which they are run through, from 0, none left out.

        Its length is the number of layers that the stack computes.
        """
        raise NotImplementedError
