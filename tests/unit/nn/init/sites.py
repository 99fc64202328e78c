"""Weights of whole models by what they are for, as schemes that scale with depth fill them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lightning_transformer.nn.init.base import Init, StackInfo
from tests.conftest import tiny

SHAPE = (300, 400)  # (fan_out, fan_in)


def at(init: Init, role: str, info: StackInfo) -> Tensor:
    weight = torch.empty(SHAPE)
    getattr(init, role)(weight, info, Generator().manual_seed(1))
    return weight


def weights_of(*overrides: str) -> dict[str, Tensor]:
    """Every initial weight of a small encoder-decoder that is wide enough to measure."""
    model = tiny(
        "model=encoder_decoder",
        "model.d_model=64",
        "model.n_encoder_layers=3",
        "model.n_decoder_layers=2",
        "activation=gelu",
        *overrides,
    )
    return {name: value for name, value in model.state_dict().items() if value.ndim == 2}


def assert_deviations(weights: dict[str, Tensor], wanted: dict[str, float]) -> None:
    """Each weight whose name has the key as a part has the deviation, within a twentieth."""
    for part, std in wanted.items():
        found = [value for name, value in weights.items() if part in name]
        assert found, part
        for value in found:
            assert abs(float(value.std()) / std - 1) < 0.05, part
