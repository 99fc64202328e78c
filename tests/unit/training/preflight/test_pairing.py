"""Tasks and models that do not go together, and what is named instead."""

from __future__ import annotations

import pytest

from lightning_transformer.build import build
from lightning_transformer.errors import ConfigError
from lightning_transformer.training.preflight.build import check_build
from tests.conftest import compose_config

SMALL = ("model.d_model=32", "data.seq_len=16")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            "model=encoder_decoder task=completion",
            "task=completion needs a model without a source; model=encoder_decoder is not. Use "
            "model=decoder_only, or task=seq2seq.",
        ),
        (
            "model=decoder_only task=seq2seq",
            "task=seq2seq needs a model with a source; model=decoder_only is not. Use "
            "model=encoder_decoder, or task=completion.",
        ),
        (
            "model=encoder_decoder task=masked_lm",
            "task=masked_lm needs a model without a source; model=encoder_decoder is not. Use "
            "model=encoder_only.",
        ),
        (
            "model=encoder_only task=span_corruption",
            "task=span_corruption needs a model with a source; model=encoder_only is not. Use "
            "model=encoder_decoder.",
        ),
        (
            "model=encoder_only task=fill_in_middle",
            "task=fill_in_middle needs a causal model; model=encoder_only is not. Use "
            "model=decoder_only.",
        ),
        (
            "model=encoder_only task=prefix_lm",
            "task=prefix_lm needs a causal model; model=encoder_only is not. Use "
            "model=decoder_only.",
        ),
        (
            "model=encoder_decoder task=span_corruption packing=documents",
            "packing=documents keeps the documents of a row apart, which a model that reads a "
            "source does not; use packing=stream",
        ),
    ],
)
def test_the_refusal_names_what_would_go(typed: str, line: str) -> None:
    cfg = compose_config(*SMALL, *typed.split())
    choices = dict(text.split("=") for text in typed.split())
    with pytest.raises(ConfigError) as caught:
        check_build(cfg, build(cfg, "data"), choices)
    assert str(caught.value) == line
