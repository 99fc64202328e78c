"""match=trained: numbers of trained parameters are equal."""

from omegaconf import DictConfig

from lightning_transformer.compare.run.match.base import n_trained
from lightning_transformer.compare.run.match.size_solver import SizeSolver
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.nn import checks


class Trained:
    """Equal numbers of trained parameters: solves for one size of the variant's adapter.

    Parts that a run adds to the model that it starts from, such as the head of another task, are
    trained by every adapter and not counted. See `SizeSolver` for the search and its errors.
    """

    def __init__(self, *, key: str = "adapter.rank", tolerance: float = 0.01) -> None:
        checks.positive("tolerance", tolerance, 0.01)
        self.key, self.tolerance = key, tolerance
        self._solver = SizeSolver(
            key,
            tolerance,
            n_trained,
            "trained parameters",
            "try adapter=lora, or match.key=adapter.width with adapter=bottleneck",
        )

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        return self._solver(variant, baseline)
