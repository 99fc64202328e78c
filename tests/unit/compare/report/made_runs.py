"""Run folders as runs leave them, made without running anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lightning_transformer.runs.result import RunResult

STEPS = (10, 20, 30, 40)


def make_run(folder: Path, *, seed: int, loss: float | None, **changed: Any) -> RunResult:
    """One run of a sweep over norm; loss None = it stopped with values that are not finite.

    changed: values of the result, or config: further keys of the configuration (None: it has no
    configuration), training: logged training losses, losses: (loss, count, document) of each test
    row, or (loss, count) as older versions wrote it.
    """
    norm = changed.pop("norm", "rmsnorm")
    further, training = changed.pop("config", {}), changed.pop("training", None)
    losses = changed.pop("losses", None)
    result = RunResult(
        status="finished" if loss is not None else "failed",
        error=None if loss is not None else "NonFinite: loss is nan at step 20",
        choices={"norm": norm, "model": "decoder_only"},
        overrides=[f"norm={norm}", f"seed={seed}", "sweep=made"],
        seed=seed,
        metrics={} if loss is None else {"val/loss": loss + 0.01, "test/loss": loss},
        history="metrics.csv",
        n_params=1200,
        n_params_non_embedding=1000,
        flops_per_token=6000.0,
        tokens_seen=4000,
        steps=STEPS[-1],
        seconds=4.0,
        tokens_per_second=1000.0,
        peak_memory_bytes=10_000_000,
        device="cpu",
        precision="32-true",
        data={"name": "made", "sha256": "d" * 64, "bytes": 10, "n_tokens": 10},
        samples_sha256=f"{seed}" * 64,
        commit="c" * 40,
        versions={"python": "3.11.7", "torch": "2.13.0"},
    )
    for name, value in changed.items():
        assert hasattr(result, name), name
        setattr(result, name, value)
    folder.mkdir(parents=True)
    result.write(folder)
    if further is not None:
        config = {"norm": {"_target_": f"x.{norm}.Norm", "eps": 1e-6}, "seed": seed, **further}
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    if losses is not None:
        fields = [("loss", "f4"), ("count", "i4"), ("document", "i4")][: len(losses[0])]
        rows_of = np.array(losses, dtype=fields)
        np.save(folder / "document_losses.npy", rows_of)
    end = 5.0 if loss is None else loss
    curve = training or [5 - (5 - end) * s / STEPS[-1] for s in STEPS]
    rows = [f"{s},{s / 10},{s * 100},{y}" for s, y in zip(STEPS, curve, strict=False)]
    text = "\n".join(["step,seconds,perf/tokens,train/loss", *rows]) + "\n"
    (folder / "metrics.csv").write_text(text, encoding="utf-8")
    return result


def made_sweep(
    folder: Path, means: dict[str, float], n_seeds: int = 5, noise: float = 0.01
) -> dict[str, list[float]]:
    """Variants with equal seeds; norm to its losses, seed by seed."""
    generator = np.random.default_rng(0)
    shared = generator.normal(0, 0.05, n_seeds)
    found: dict[str, list[float]] = {}
    for norm, mean in means.items():
        own = generator.normal(0, noise, n_seeds)
        found[norm] = [mean + a + b for a, b in zip(shared, own, strict=True)]
        for seed, loss in enumerate(found[norm], start=1):
            value = None if math.isnan(loss) else loss
            make_run(folder / f"norm={norm},seed={seed}", seed=seed, loss=value, norm=norm)
    return found
