"""Solving for one size of a variant, so that it has as much of something as the baseline."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.compare.run.match.base import check_tolerance
from lightning_transformer.compare.run.variants import Matched
from lightning_transformer.errors import ConfigError

WIDEST = 64.0  # times the configured value, and as many times less
FINE = 1e-4  # relative width of the interval in which the search for a fraction ends
ROUNDING = 0.25  # a larger mismatch is not that of rounded widths
MORE = 64  # whole numbers that are tried where a model refuses some, such as odd widths


@dataclass(frozen=True)
class SizeSolver:
    """Finds the value v of a key with the smallest |N(v) / N_baseline - 1|, by bisection.

    N grows with v. v is a whole number if the configured one is. A variant that is within the
    tolerance is left as it is, so that its initial weights stay those of the baseline.

    amount: N of a configuration. what: its name in an error. instead: what to try where the key is
    no number. Raises ValueError where no value comes within the tolerance, with what would.
    """

    key: str
    tolerance: float
    amount: Callable[[DictConfig], int]
    what: str
    instead: str

    def __call__(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        found = self._solve(variant, baseline)
        if abs(found.residual) > self.tolerance:
            value = found.changes[self.key]
            check_tolerance(
                found.residual,
                self.tolerance,
                f"{self.what} (at best, with {self.key}={value:g})",
                f"try {', '.join(self._advice(variant, baseline, found.residual))}",
            )
        return found

    def _solve(self, variant: DictConfig, baseline: DictConfig) -> Matched:
        """The nearest that the key comes, within the tolerance or not."""
        target = self.amount(baseline)
        residual = self.amount(variant) / target - 1
        if abs(residual) <= self.tolerance:
            return Matched({}, residual)
        start = OmegaConf.select(variant, self.key)
        if type(start) not in (int, float) or not start > 0:
            raise ValueError(
                f"match.key={self.key} is {start} here and has to be a number above 0; "
                f"{self.instead}"
            )
        value, residual = self._nearest(variant, target, start)
        return Matched({self.key: value}, residual)

    def _advice(self, variant: DictConfig, baseline: DictConfig, residual: float) -> list[str]:
        """What would be accepted instead, each tried here; a wider tolerance always is."""
        found = []
        round_to = OmegaConf.select(variant, "ffn.round_to")
        if isinstance(round_to, int) and round_to > 1 and abs(residual) < ROUNDING:
            both = variant.copy(), baseline.copy()
            for cfg in both:  # a key without several values is every variant's
                OmegaConf.update(cfg, "ffn.round_to", 1)
            if self._fits(*both):
                found.append("ffn.round_to=1")
        return [*found, f"match.tolerance={math.ceil(1000 * abs(residual)) / 1000:g}"]

    def _fits(self, variant: DictConfig, baseline: DictConfig) -> bool:
        """Whether a match is found."""
        try:
            return abs(self._solve(variant, baseline).residual) <= self.tolerance
        except (ConfigError, ValueError):
            return False

    def _nearest(self, cfg: DictConfig, target: int, start: float) -> tuple[float, float]:
        """The value whose model is nearest to the target, and the difference that is left."""
        tried: dict[float, float] = {}  # by the value that was built

        def off(value: float) -> float:
            built, residual = self._off(cfg, value, target)
            tried[built] = residual
            return residual

        integer = type(start) is int
        low = high = start
        while off(low) > 0 and low * WIDEST > start and not (integer and low == 1):
            low = max(1, low // 2) if integer else low / 2
        while off(high) < 0 and high < start * WIDEST:
            wider = self._wider(cfg, high, target)
            if wider == high:
                break
            high = wider
        while high - low > (1 if integer else FINE * start):
            middle = (low + high) // 2 if integer else (low + high) / 2
            low, high = (low, middle) if off(middle) > 0 else (middle, high)
        # Of equally near ones the nearest to what was configured.
        best = min(tried, key=lambda value: (abs(tried[value]), abs(value - start)))
        residual = tried[best]
        if not integer:  # rounded widths leave a range of values: the shortest to read
            texts = (f"{best:.{digits}g}" for digits in range(1, 9))
            best = next((float(t) for t in texts if off(float(t)) == residual), best)
        return best, residual

    def _wider(self, cfg: DictConfig, value: float, target: int) -> float:
        """Twice the value, or the largest whole one below that which builds."""
        good, refused = value, 2 * value
        try:
            self._off(cfg, refused, target)
        except ValueError:
            if type(value) is float:
                raise
        else:
            return refused
        cfg = cfg.copy()
        while refused - good > 1:
            middle = (good + refused) // 2
            OmegaConf.update(cfg, self.key, middle)
            try:
                self.amount(cfg)
                good = middle
            except (ConfigError, ValueError):
                refused = middle
        return good

    def _off(self, cfg: DictConfig, value: float, target: int) -> tuple[float, float]:
        """The value, or the next whole one that builds, and its surplus over the target."""
        cfg, refused = cfg.copy(), ""
        for candidate in [value] if type(value) is float else range(int(value), int(value) + MORE):
            OmegaConf.update(cfg, self.key, candidate)
            try:
                return candidate, self.amount(cfg) / target - 1
            except (ConfigError, ValueError) as error:
                refused = str(error)
        raise ValueError(f"match.key={self.key}: {refused}")
