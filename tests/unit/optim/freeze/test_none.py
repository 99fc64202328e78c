"""freeze=none."""

from __future__ import annotations

from torch import nn

from lightning_transformer.optim.freeze.none import none


def test_every_parameter_is_trained() -> None:
    model = nn.Linear(2, 3)
    none(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
