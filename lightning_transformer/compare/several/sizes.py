"""`python -m lightning_transformer.compare.several.sizes`: solve for the sizes of a ladder.

A process of its own, because it builds models and `compare run` loads no torch. Reads JSON from
its input: config_dirs, overrides of the baseline, rungs, tokens_per_param. Prints JSON: the rungs,
the smallest first, or {"error": one line}.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build
from lightning_transformer.compare.across.parts import RungSize
from lightning_transformer.compare.run.match.base import rebudgeted, size_of
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.size import Size

FACTOR = 3.0  # parameters of a rung over those of the one below
LEAST_FACTOR = 1.5  # as near as rounding to whole heads and layers may bring two rungs
ASPECT = 0.5  # weight of keeping d_model / n_layers, over that of meeting the factor
NEAREST = 6  # shapes of a rung that are built, the nearest by estimate
WIDTH, HEADS = "model.d_model", "attention.n_heads"
DEPTHS = ("model.n_layers", "model.n_encoder_layers", "model.n_decoder_layers")


@dataclass(frozen=True)
class Shape:
    """Depth, width and heads. depth: of the deepest stack; others keep their share of it."""

    depth: int
    heads: int


class Solver:
    """The sizes of a ladder, the configured one the largest.

    Each rung has a third of the parameters of the one above it (without embeddings), as near as
    whole heads and layers come. The width of a head is kept, and d_model / n_layers as far as
    possible: of all shapes the one with the smallest |log(N / N_target)| + |log(aspect / aspect of
    the configured)| / 2.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.depths = {
            key: value for key in DEPTHS if isinstance(value := OmegaConf.select(cfg, key), int)
        }
        self.width = int(cfg.model.d_model)
        heads = OmegaConf.select(cfg, HEADS)
        self.has_heads = isinstance(heads, int)
        # Without heads the width comes in eighths.
        self.heads = (
            heads if self.has_heads else next(n for n in (8, 4, 2, 1) if not self.width % n)
        )
        self.top = Shape(max(self.depths.values(), default=1), self.heads)

    def keys(self, shape: Shape) -> dict[str, int]:
        """The overrides of a shape."""
        share = shape.depth / self.top.depth
        found = {key: max(1, round(value * share)) for key, value in self.depths.items()}
        found[WIDTH] = self.width * shape.heads // self.heads
        return {**found, HEADS: shape.heads} if self.has_heads else found

    def size(self, shape: Shape) -> Size | None:
        """Of the model of a shape; None where a component refuses it."""
        cfg = self.cfg.copy()
        for key, value in self.keys(shape).items():
            OmegaConf.update(cfg, key, value)
        try:
            return size_of(cfg)
        except ValueError:
            return None

    def shapes(self, n: int) -> list[tuple[Shape, Size]]:
        """n shapes, the smallest first, or fewer where there are no more."""
        top = self.size(self.top)
        assert top is not None, "the configured model has been built before"
        found = [(self.top, top)]
        while len(found) < n:
            below = self._below(
                found[-1][1], top, top.n_params_non_embedding / FACTOR ** len(found)
            )
            if below is None:
                break
            found.append(below)
        return found[::-1]

    def _below(self, above: Size, top: Size, target: float) -> tuple[Shape, Size] | None:
        ranked = sorted(
            self._candidates(), key=lambda s: self._cost(s, self._guess(s, top), target)
        )
        fitting: list[tuple[Shape, Size]] = []
        for shape in ranked:
            size = self.size(shape)
            if size and size.n_params_non_embedding * LEAST_FACTOR <= above.n_params_non_embedding:
                fitting.append((shape, size))
            if len(fitting) == NEAREST:
                break
        if not fitting:
            return None
        return min(fitting, key=lambda x: self._cost(x[0], x[1].n_params_non_embedding, target))

    def _candidates(self) -> Iterator[Shape]:
        for depth in range(1, self.top.depth + 1):
            for heads in range(1, self.top.heads + 1):
                if abs(math.log(self._aspect(Shape(depth, heads)))) < math.log(4):
                    yield Shape(depth, heads)

    def _aspect(self, shape: Shape) -> float:
        """d_model / n_layers over that of the configured model."""
        return shape.heads * self.top.depth / (shape.depth * self.top.heads)

    def _guess(self, shape: Shape, top: Size) -> float:
        """Parameters grow with depth times width squared."""
        scale = shape.depth * shape.heads**2 / (self.top.depth * self.top.heads**2)
        return top.n_params_non_embedding * scale

    def _cost(self, shape: Shape, params: float, target: float) -> float:
        return abs(math.log(params / target)) + ASPECT * abs(math.log(self._aspect(shape)))


def rungs(cfg: DictConfig, n: int, tokens_per_param: float) -> list[RungSize]:
    """The sizes and budgets of a ladder, the smallest first.

    Raises ValueError, in one line, where the configured model is too small for so many.
    """
    solver = Solver(cfg)
    shapes = solver.shapes(n)
    if len(shapes) < n:
        raise ValueError(
            f"ladder={n}: the configured model is the largest, and below it are only "
            f"{len(shapes) - 1} sizes with whole heads and layers; {_advice(cfg, n)}"
        )
    source = build(cfg, "data")
    source.prepare()
    n_rows, per_step = len(source.splits["train"]), int(cfg.data.seq_len * cfg.data.batch_size)
    found = []
    for shape, size in shapes:
        steps = max(1, round(tokens_per_param * size.n_params_non_embedding / per_step))
        found.append(RungSize(
            shape=solver.keys(shape),
            params=size.n_params_non_embedding,
            flops_per_token=size.flops_per_token,
            steps=steps,
            tokens=steps * per_step,
            epochs=steps * int(cfg.data.batch_size) / n_rows,
        ))  # fmt: skip
    return found


def _advice(cfg: DictConfig, n: int) -> str:
    """A larger model that has enough sizes, tried here."""
    for times in (2, 4, 8):
        larger = cfg.copy()
        changes = {WIDTH: int(cfg.model.d_model) * times}
        if isinstance(heads := OmegaConf.select(cfg, HEADS), int):
            changes[HEADS] = heads * times
        for key, value in changes.items():
            OmegaConf.update(larger, key, value)
        try:
            enough = len(Solver(larger).shapes(n)) == n
        except (AssertionError, ValueError):
            enough = False
        if enough:
            return "give it " + " ".join(f"{key}={value}" for key, value in changes.items())
    return "give it more heads, or narrower ones"


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The rungs with the overrides of each, and whether init=mup is used, as JSON."""
    register()
    with composer(question["config_dirs"]):
        cfg = composed(question["overrides"])
    found = []
    for size in rungs(cfg, question["rungs"], question["tokens_per_param"]):
        changes = {**size.shape, **rebudgeted(cfg, size.steps)}
        overrides = [f"{key}={value}" for key, value in changes.items()]
        found.append({"size": asdict(size), "overrides": overrides})
    return {"rungs": found, "mup": str(cfg.init._target_).endswith(".Mup")}


def main() -> None:
    try:
        found: Any = answer(json.load(sys.stdin))
    except (ConfigError, ValueError) as error:
        found = {"error": " ".join(str(error).split())}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
