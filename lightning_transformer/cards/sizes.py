"""What an option costs, counted on models built without memory for their weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

import torch
from omegaconf import DictConfig

from lightning_transformer.build import build_model
from lightning_transformer.config.compose import composed, composer
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.models.size import Size, measure

# Widths and depths that every option takes; the last of each is where a formula is tried.
WIDTHS, DEPTHS = (192, 384, 576, 768), (4, 8, 12)
# What else must be chosen where an option does not work with the defaults, the nearest first.
SURROUNDINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("position=none",),
    ("kernel=eager",),
    ("position=none", "kernel=eager"),
    ("qk_norm=none",),
    ("pattern=local_global",),
    ("model=encoder_only", "position=learned"),
    ("model=encoder_decoder",),
)


@dataclass(frozen=True)
class Cost:
    """Of group=option against the group's default: parameters, and FLOPs per token as a ratio.

    formula: exact difference of parameters in d_model and n_layers, "" where there is none.
    surroundings: other choices that it needs, made for both.
    """

    surroundings: tuple[str, ...]
    params: int
    formula: str
    flops: float


@cache
def cost(group: str, name: str, default: str) -> Cost | None:
    """Count; None where the option works in no surroundings tried here."""
    for more in SURROUNDINGS:
        if any(o.split("=")[0] == group for o in more):
            continue
        mine = (f"{group}={name}", *more)
        # Without surroundings this is the default run, which is counted once for all groups.
        usual = (f"{group}={default}", *more) if more else ()
        try:
            size, base = _size(mine), _size(usual)
        except (ConfigError, ValueError):
            continue
        formula = difference(
            lambda d, n, a=mine, b=usual: params(a, d, n) - params(b, d, n)  # type: ignore[misc]
        )
        flops = size.flops_per_token / base.flops_per_token
        return Cost(more, size.n_params - base.n_params, formula, flops)
    return None


@lru_cache(maxsize=64)  # the defaults of all groups, and what is counted next
def _config(overrides: tuple[str, ...]) -> DictConfig:
    with composer():
        return composed(overrides)


@lru_cache(maxsize=64)
def _size(overrides: tuple[str, ...]) -> Size:
    cfg = _config(overrides)
    # What a query sees is counted on numbers, not without memory.
    return measure(_model(cfg), int(cfg.data.seq_len))


@lru_cache(maxsize=512)  # the defaults at all sizes
def params(overrides: tuple[str, ...], d_model: int, n_layers: int) -> int:
    """The number of parameters of the run with these overrides, at this size."""
    cfg = _config(overrides).copy()
    cfg.model.d_model = d_model
    for key in ("n_layers", "n_encoder_layers", "n_decoder_layers"):
        if key in cfg.model:
            cfg.model[key] = n_layers
    return sum(parameter.numel() for parameter in _model(cfg).parameters())


def _model(cfg: DictConfig) -> Transformer:
    with torch.device("meta"):
        return build_model(cfg, vocabulary=ByteVocabulary(), labels=["a", "b"], seed=0)


def difference(count: Callable[[int, int], int]) -> str:
    """A number of parameters as a polynomial in d_model (at most 2) and n_layers (at most 1).

    Fitted exactly to six models and tried on a seventh; "" where it does not hold.
    """
    at = {n: _quadratic([(d, count(d, n)) for d in WIDTHS[:3]]) for n in DEPTHS[:2]}
    one, two = DEPTHS[:2]
    slopes = [(b - a) / (two - one) for a, b in zip(at[one], at[two], strict=True)]
    constants = [a - one * s for a, s in zip(at[one], slopes, strict=True)]
    d, n = WIDTHS[3], DEPTHS[2]
    tried = sum((c + n * s) * d**i for i, (c, s) in enumerate(zip(constants, slopes, strict=True)))
    if tried != count(d, n):
        return ""
    return written(constants, slopes)


def _quadratic(points: Sequence[tuple[int, int]]) -> list[Fraction]:
    """Coefficients, the constant first, of the polynomial through three points (Newton 1687)."""
    (x0, y0), (x1, y1), (x2, y2) = points
    first = Fraction(y1 - y0, x1 - x0)
    second = (Fraction(y2 - y1, x2 - x1) - first) / (x2 - x0)
    return [y0 - first * x0 + second * x0 * x1, first - second * (x0 + x1), second]


def written(constants: Sequence[Fraction], slopes: Sequence[Fraction]) -> str:
    """`(2 n_layers + 1) d_model` and the like; `0` for nothing."""
    terms = []
    for power in (2, 1, 0):
        base = {2: " d_model^2", 1: " d_model", 0: ""}[power]
        parts = [(slopes[power], " n_layers"), (constants[power], "")]
        if all(value for value, _ in parts) and base:
            terms.append(f"({' + '.join(_term(value, unit) for value, unit in parts)}){base}")
        else:
            terms += [_term(value, unit + base) for value, unit in parts if value]
    return " + ".join(terms).replace("+ -", "- ") or "0"


def _term(value: Fraction, units: str) -> str:
    return units.lstrip() if value == 1 and units else f"{value}{units}"
