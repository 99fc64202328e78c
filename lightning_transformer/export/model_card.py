"""A model card, written from result.json."""

from __future__ import annotations

import shlex

from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.result import RunResult


def model_card(result: RunResult, family: str, name: str) -> str:
    """Markdown with the licence left open: what it started from, data, budget, metrics, command."""
    start = result.init_from
    base = (
        f"{start['path']} ({start['family']}, SHA-256 {start['sha256'][:16]})"
        if start
        else "initial weights at random"
    )
    data = result.data
    metrics = [
        f"| {key} | {value:.6g} |" for key, value in result.metrics.items() if value is not None
    ]
    lines = [
        "---",
        "license: # fill in; it depends on the data and on what the model started from",
        "library_name: transformers",
        f"tags: [{family}]",
        "---",
        "",
        f"# {name}",
        "",
        f"- Started from: {base}",
        *([f"- New weights: {', '.join(result.fresh)}"] if result.fresh else []),
        f"- Data: {data.get('name')}, {data.get('bytes', 0):,} bytes, "
        f"SHA-256 {str(data.get('sha256'))[:16]}",
        f"- Parameters: {result.n_params or 0:,}",
        f"- Budget: {result.steps or 0:,} steps, {result.tokens_seen or 0:,} tokens, "
        f"{result.seconds or 0:.0f} s on {result.device}, precision {result.precision}",
        f"- Seed: {result.seed}",
        "",
        "| metric | value |",
        "|---|---:|",
        *metrics,
        "",
        "Made by:",
        "",
        f"    {PROGRAM} {shlex.join(result.overrides)}",
        "",
        "Not evaluated on anything else: how it behaves on other data is not known.",
    ]
    return "\n".join(lines) + "\n"
