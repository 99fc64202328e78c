"""Predictions as `python -m lightning_transformer.generate` writes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from lightning_transformer.generate.__main__ import predict
from lightning_transformer.generate.arguments import GenerateRequest
from lightning_transformer.generate.output import Output
from lightning_transformer.tasks.predict import PredictOptions


def written(
    model: Any,
    texts: tuple[str, ...] | None = None,
    *,
    piped: str | None = None,
    screen: io.StringIO | None = None,
    **options: Any,
) -> tuple[str, str]:
    """Standard output and standard error for a model and texts."""
    text, remarks = io.StringIO() if screen is None else screen, io.StringIO()
    request = GenerateRequest(Path("RUN"), texts, piped, options=PredictOptions(**options))
    predict(model, request, Output(text, remarks))
    return text.getvalue(), remarks.getvalue()
