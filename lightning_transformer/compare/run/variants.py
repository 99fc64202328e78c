"""The variants of a comparison, each composed and checked before anything starts."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.compare.report.choice.rate_curve import significant
from lightning_transformer.compare.run.request import Request
from lightning_transformer.compare.run.search.asked import check_apart
from lightning_transformer.config.auto_compile import is_long
from lightning_transformer.config.auto_precision import BF16_FROM, is_wide
from lightning_transformer.config.compose import (
    chosen_groups,
    composed_with_options,
    composer,
    groups,
    preflight,
)
from lightning_transformer.config.validate import check, plain
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.result import config_sha256

PLACEBO = "placebo"
INIT_SEED = "init_seed"  # changes the draw of the initial weights and nothing else
LR = "optimizer.lr"
RATES = (LR, "optimizer.muon_lr")  # the others scale with the first
LENGTHS = ("schedule.warmup_steps", "schedule.timescale")  # in steps, so part of the budget
STEPS, VAL_EVERY = "trainer.max_steps", "trainer.val_every"
WIDTH = "model.d_model"


@dataclass(frozen=True)
class Variant:
    """One configuration of a comparison.

    Attributes:
        label: its values of the compared keys, ``norm=rmsnorm,activation=gelu``; or ``placebo``.
        values: compared key to value, as typed.
        overrides: of all its runs, without their seeds, and without rates that are to be chosen.
        steps: of its whole budget.
        rates: learning rates, which a screening scales together: key to the configured value.
        grid: the values of the first of them that are to be tried; empty for those around it.
        tuned: key to the values of which one is to be chosen.
        lengths: of the schedule in steps, which a screening scales like the budget.
        digest: of its configuration.
        accelerator: of its runs, with the number of devices of each of its nodes.
        bf16_pays: with trainer.precision=auto, whether its width makes that bf16-mixed on a CPU.
        is_long: with trainer.compile=auto, whether its length makes that compiled on a CPU.
        axis: what is made equal, an option of the group match: none, params, flops or time.
        match: the options of it.
    """

    label: str
    values: dict[str, str]
    overrides: tuple[str, ...]
    steps: int
    val_every: int
    rates: dict[str, float] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    accelerator: str = "auto"
    devices: int | str = 1
    nodes: int = 1
    bf16_pays: bool | None = None
    is_long: bool | None = None
    axis: str = "none"
    match: dict[str, Any] = field(default_factory=dict)
    grid: tuple[float, ...] = ()
    tuned: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_placebo(self) -> bool:
        return self.label == PLACEBO

    @property
    def compared(self) -> list[str]:
        """``norm=rmsnorm`` and so on: its values of the compared keys."""
        return [f"{key}={value}" for key, value in self.values.items()]

    def rates_at(self, factor: float) -> dict[str, float]:
        """Its learning rates, all times the factor."""
        return {key: significant(rate * factor) for key, rate in self.rates.items()}


@dataclass(frozen=True)
class Matched:
    """What match= has solved for, so that a variant is like the baseline.

    Attributes:
        changes: key to value; nothing where it is near enough as it is.
        residual: what it then has over what the baseline has, less one.
    """

    changes: dict[str, int | float] = field(default_factory=dict)
    residual: float = 0.0


def read_variants(request: Request) -> list[Variant]:
    """Compose and check every variant, the baseline first; ConfigError in one line if one fails."""
    swept = [f"{key}={','.join(texts)}" for key, texts in request.swept.items()]
    tuned = [f"{key}={','.join(texts)}" for key, texts in request.tuned.items()]
    preflight([*request.shared, *request.launcher, *swept, *tuned], request.config_dirs)
    with composer(request.config_dirs) as loader:
        options = groups(loader)
        found = [
            _variant(dict(zip(request.swept, texts, strict=True)), request, options)
            for texts in itertools.product(*request.swept.values())
        ]
    found.sort(key=lambda variant: variant.values != request.baseline)  # stable: only it moves
    if request.halving and len(found) < 3:
        raise ConfigError(
            f"halving={request.halving} needs two variants beside the baseline to choose from; "
            "leave it out"
        )
    if any(variant.match != found[0].match for variant in found):
        raise ConfigError("match= says what is equal in all that is compared; give it one value")
    if request.placebo:
        found.insert(1, replace(found[0], label=PLACEBO))
    return found


def first_values(tuned: Mapping[str, Sequence[str]]) -> list[str]:
    """KEY=VALUE of each tuned key, with which rates are chosen."""
    return [f"{key}={texts[0]}" for key, texts in tuned.items()]


def other_values(tuned: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The same with another value of one key, for each value behind the first."""
    firsts = {key: texts[0] for key, texts in tuned.items()}
    return [
        [f"{k}={v}" for k, v in (firsts | {key: text}).items()]
        for key, texts in tuned.items()
        for text in texts[1:]
    ]


def _check_sizes(tuned: Mapping[str, Sequence[str]], axis: str) -> None:
    """Refuse a tuned key that may change what match= has made equal."""
    sizes = [key for key in tuned if key.split(".")[0] not in ("optimizer", "schedule", "loss")]
    if axis != "none" and sizes:
        raise ConfigError(
            f"tune={sizes[0]} may change what match={axis} makes equal; write match=none, or tune "
            "keys of optimizer, schedule or loss"
        )


def _variant(values: dict[str, str], request: Request, options: dict[str, list[str]]) -> Variant:
    compared = [f"{key}={value}" for key, value in values.items()]
    label, typed = ",".join(compared), [*request.shared, *compared]
    try:
        cfg, chosen = composed_with_options([*typed, *first_values(request.tuned)])
        check(cfg, chosen_groups(typed, options))
        for values_too in other_values(request.tuned):
            check(composed_with_options([*typed, *values_too])[0], chosen_groups(typed, options))
        if request.placebo and INIT_SEED not in cfg:
            raise ConfigError(f"placebo=true needs a configuration that has {INIT_SEED}")
        rates = _rates(cfg, request.lr) if request.lr != "fixed" else {}
        check_apart(request.tuned, dict.fromkeys(rates, f"chosen by lr={request.lr}"))
        _check_sizes(request.tuned, chosen["match"])
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None
    swept_rates = set(rates) & {override_key(key) for key in request.swept}
    if swept_rates:
        raise ConfigError(
            f"{min(swept_rates)} is compared and would be chosen by lr={request.lr}; write lr=fixed"
        )
    return Variant(
        label=label,
        values=values,
        overrides=tuple(text for text in typed if text.split("=", 1)[0] not in rates),
        steps=int(cfg.trainer.max_steps),
        val_every=int(cfg.trainer.val_every),
        rates=rates,
        lengths={key: int(v) for key in LENGTHS if (v := OmegaConf.select(cfg, key)) is not None},
        digest=config_sha256(plain(cfg)),
        accelerator=str(cfg.trainer.accelerator),
        devices=cfg.trainer.devices,
        nodes=int(cfg.trainer.num_nodes),
        bf16_pays=is_wide(cfg) if str(cfg.trainer.precision) == "auto" else None,
        is_long=is_long(cfg) if str(cfg.trainer.compile) == "auto" else None,
        axis=chosen["match"],
        match={str(key): value for key, value in cfg.match.items()},
        grid=request.rates,
        tuned=request.tuned,
    )


def changed(variant: Variant, changes: Mapping[str, int | float]) -> Variant:
    """The variant with what match= has solved for, as overrides that its runs are started with.

    Raises ConfigError for a key that is compared itself.
    """
    if variant.axis == "none":
        return variant
    compared = set(changes) & {override_key(key) for key in variant.values}
    if compared:
        raise ConfigError(
            f"{min(compared)} is compared and would be solved for by match={variant.axis}; write "
            "match=none"
        )

    def replaced(override: str) -> bool:
        key = override_key(override)
        return key in ("match", *changes) or key.startswith("match.")

    kept = [text for text in variant.overrides if not replaced(text)]
    pays = variant.bf16_pays
    if pays is not None and WIDTH in changes:
        pays = changes[WIDTH] >= BF16_FROM
    return replace(
        variant,
        bf16_pays=pays,
        overrides=(*kept, "match=none", *(f"{key}={value!r}" for key, value in changes.items())),
        steps=int(changes.get(STEPS, variant.steps)),
        val_every=int(changes.get(VAL_EVERY, variant.val_every)),
        lengths={key: int(changes.get(key, value)) for key, value in variant.lengths.items()},
    )


def _rates(cfg: DictConfig, policy: str) -> dict[str, float]:
    found = {key: OmegaConf.select(cfg, key) for key in RATES}
    rates = {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
    if RATES[0] not in rates or not all(0 < rate < math.inf for rate in rates.values()):
        raise ConfigError(
            f"lr={policy} scales {RATES[0]}, which is {found[RATES[0]]} here; give it a number, "
            "or write lr=fixed"
        )
    return rates
