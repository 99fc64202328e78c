"""freeze=gradual."""

from __future__ import annotations

import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.models.base import Transformer
from lightning_transformer.optim.freeze.gradual import gradual
from tests.conftest import TINY, build_tiny, compose_config, exchanged, options, tiny


def waiting(model: Transformer, step: int, n_steps: int = 3) -> set[str]:
    """First parts of the names of what does not move in a step."""
    names = {id(p): name for name, p in model.named_parameters()}
    still = gradual(model, n_steps=n_steps)(step)
    return {".".join(names[id(p)].split(".")[:3]) for p in still}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, {"embedding.weight", "decoder.blocks.0"}),
        (2, {"embedding.weight", "decoder.blocks.0"}),
        (3, {"embedding.weight"}),
        (5, {"embedding.weight"}),
        (6, set()),
        (1000, set()),
    ],
)
@pytest.mark.parametrize("tied", ["true", "false"])
def test_one_block_more_moves_every_n_steps(step: int, expected: set[str], tied: str) -> None:
    assert waiting(tiny(f"tie_embeddings={tied}"), step) == expected


def test_of_two_stacks_the_decoder_comes_first() -> None:
    model = tiny("model=encoder_decoder")
    lowest = {"embedding.weight", "encoder.blocks.0"}
    middle = {"encoder.blocks.1", "decoder.blocks.0"}
    assert {name for name in waiting(model, 0) if "embedding.w" in name or "blocks" in name} == (
        lowest | middle
    )
    assert "decoder.blocks.0" not in waiting(model, 3)
    assert "encoder.blocks.1" not in waiting(model, 6)


def test_all_of_it_is_trained_in_the_end() -> None:
    model = tiny()
    gradual(model)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("option", options("optimizer"))
def test_no_optimizer_moves_or_decays_what_waits(option: str) -> None:
    cfg = compose_config(*TINY, "freeze=gradual", "freeze.n_steps=1", "model.n_layers=2")
    model = build_tiny(exchanged(cfg, optimizer=option))
    assert model.updates.stand_still is not None
    optimizer = model.make_optimizer(model)
    if hasattr(optimizer, "train"):
        optimizer.train()  # type: ignore[no-untyped-call]
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step, n_waiting in enumerate((2, 1, 0)):
        before = {id(p): p.detach().clone() for p in model.parameters()}
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        model.updates.hold_still(step)
        still = {id(p) for p in model.updates.stand_still(step)}
        optimizer.step()
        for name, parameter in model.named_parameters():
            moved = not torch.equal(parameter, before[id(parameter)])
            assert moved == (id(parameter) not in still), (name, step)
        assert bool(still) == bool(n_waiting)
    assert not any(torch.equal(p, start[name]) for name, p in model.named_parameters())


def test_refuses_no_steps() -> None:
    with pytest.raises(ValueError, match=r"^n_steps=0 must be at least 1"):
        gradual(tiny(), n_steps=0)
    assert build(compose_config("freeze=gradual"), "freeze", model=tiny()) is not None
