"""The variants of a comparison, each composed and checked before anything starts."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.compare.run.request import SCREENING_SEED, Request
from lightning_transformer.config.compose import (
    chosen_groups,
    chosen_options,
    composed,
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
RATES = ("optimizer.lr", "optimizer.muon_lr")
LENGTHS = ("schedule.warmup_steps", "schedule.timescale")  # in steps, so part of the budget
STEPS, VAL_EVERY = "trainer.max_steps", "trainer.val_every"


@dataclass(frozen=True)
class Variant:
    """One of what is compared.

    Attributes:
        label: its values of the compared keys, ``norm=rmsnorm,activation=gelu``; or ``placebo``.
        values: compared key to value, as typed.
        overrides: of all its runs, without their seeds, and without rates that are to be chosen.
        steps: of its whole budget.
        rates: learning rates, which a screening scales together: key to the configured value.
        lengths: of the schedule in steps, which a screening scales like the budget.
        digest: of its configuration.
        accelerator: where its runs compute, with the number of devices of each.
        flops: of a training step, roughly; None where the sizes are not known by these names.
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
    flops: float | None = None
    axis: str = "none"
    match: tuple[tuple[str, Any], ...] = ()

    @property
    def is_placebo(self) -> bool:
        return self.label == PLACEBO


def label_of(values: Mapping[str, str]) -> str:
    """``norm=rmsnorm,activation=gelu``."""
    return ",".join(f"{key}={value}" for key, value in values.items())


def read_variants(asked: Request) -> list[Variant]:
    """Compose and check every variant, the baseline first; ConfigError in one line if one fails."""
    swept = [f"{key}={','.join(texts)}" for key, texts in asked.swept.items()]
    preflight([*asked.shared, *swept], asked.config_dirs)
    with composer(asked.config_dirs) as loader:
        options = groups(loader)
        found = [
            _variant(dict(zip(asked.swept, texts, strict=True)), asked, options)
            for texts in itertools.product(*asked.swept.values())
        ]
    found.sort(key=lambda variant: variant.values != asked.baseline)  # stable: only it moves
    if asked.halving and len(found) < 3:
        raise ConfigError(
            f"halving={asked.halving} needs two variants beside the baseline to choose from; "
            "leave it out"
        )
    if len({variant.match for variant in found}) > 1:
        raise ConfigError("match= says what is equal in all that is compared; give it one value")
    if asked.placebo:
        found.insert(1, replace(found[0], label=PLACEBO))
    return found


def _variant(values: dict[str, str], asked: Request, options: dict[str, list[str]]) -> Variant:
    label = label_of(values)
    typed = [*asked.shared, *(f"{key}={value}" for key, value in values.items())]
    try:
        cfg = composed(typed)
        check(cfg, chosen_groups(typed, options))
        if asked.placebo and INIT_SEED not in cfg:
            raise ConfigError(f"placebo=true needs a configuration that has {INIT_SEED}")
        rates = _rates(cfg) if asked.lr != "fixed" else {}
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None
    swept_rates = set(rates) & {override_key(key) for key in asked.swept}
    if swept_rates:
        raise ConfigError(
            f"{min(swept_rates)} is compared and would be chosen by lr={asked.lr}; write lr=fixed"
        )
    model, data = cfg.model, cfg.data
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
        flops=_flops(
            model.get("d_model"),
            model.get("n_layers") or model.get("n_encoder_layers"),
            data.get("seq_len"),
            data.get("batch_size"),
        ),
        axis=chosen_options(typed)["match"],
        match=tuple(sorted((str(key), value) for key, value in cfg.match.items())),
    )


def changed(variant: Variant, changes: Mapping[str, Any]) -> Variant:
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
    kept = [text for text in variant.overrides if not _is_of(text, ("match", *changes))]
    return replace(
        variant,
        overrides=(*kept, "match=none", *(f"{key}={value!r}" for key, value in changes.items())),
        steps=int(changes.get(STEPS, variant.steps)),
        val_every=int(changes.get(VAL_EVERY, variant.val_every)),
        lengths={key: int(changes.get(key, value)) for key, value in variant.lengths.items()},
    )


def _is_of(override: str, keys: tuple[str, ...]) -> bool:
    key = override_key(override)
    return key in keys or key.startswith("match.")


def _rates(cfg: DictConfig) -> dict[str, float]:
    found = {key: OmegaConf.select(cfg, key) for key in RATES}
    rates = {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
    if RATES[0] not in rates or not all(0 < rate < math.inf for rate in rates.values()):
        raise ConfigError(
            f"lr=sweep3 scales {RATES[0]}, which is {found[RATES[0]]} here; give it a number, "
            "or write lr=fixed"
        )
    return rates


def _flops(*sizes: object) -> float | None:
    """6 FLOPs a token and weight, 12 d_model^2 weights a layer."""
    if not all(isinstance(size, int) for size in sizes):
        return None
    d_model, n_layers, seq_len, batch_size = (int(str(size)) for size in sizes)
    return 6.0 * 12 * d_model**2 * n_layers * seq_len * batch_size


def seeds_text(asked: Request) -> str:
    """For the plan: the seeds reported, and the one that rates are chosen with."""
    shown = ", ".join(map(str, asked.seeds))
    return shown if asked.lr == "fixed" else f"{shown}; learning rates with {SCREENING_SEED}"
