"""match=params: numbers of parameters are equal."""

from omegaconf import DictConfig

from lightning_transformer.compare.run.match.base import size_of
from lightning_transformer.compare.run.match.size_solver import SizeSolver
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.nn import checks


class Params:
    """Equal numbers of active parameters without embeddings: solves for one size of the variant.

    Active are those that one token uses: of experts, as many as it is sent to; those of an adapter
    are among them. See `SizeSolver` for the search and its errors. Raises ValueError where the
    weights that a variant starts from fix the size to be changed.
    """

    def __init__(self, *, key: str = "ffn.hidden_mult", tolerance: float = 0.01) -> None:
        checks.positive("tolerance", tolerance, 0.01)
        self.key, self.tolerance = key, tolerance
        self._solver = SizeSolver(
            key,
            tolerance,
            _active,
            "parameters without embeddings",
            "try match.key=model.d_model",
        )

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        if variant.init_from is not None and not self.key.startswith("adapter."):
            residual = _active(variant) / _active(baseline) - 1
            if abs(residual) <= self.tolerance:
                return Matched({}, residual)
            raise ValueError(
                f"match=params would change {self.key}, which the weights of init_from have fixed; "
                "use match=trained, match=flops, or match.key=adapter.rank"
            )
        return self._solver(variant, baseline)


def _active(cfg: DictConfig) -> int:
    return size_of(cfg).n_params_active
