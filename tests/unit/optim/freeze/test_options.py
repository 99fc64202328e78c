"""What every freeze option promises, in each architecture; options are found in conf/."""

import pytest
import torch

from tests.conftest import TINY, build_tiny, compose_config, exchanged, options
from tests.unit.tasks.drawn import drawn_batch

STEPS = 20


@pytest.mark.parametrize("architecture", options("model"))
@pytest.mark.parametrize("option", options("freeze"))
def test_frozen_weights_keep_their_bits_and_all_others_move(option: str, architecture: str) -> None:
    cfg = exchanged(
        compose_config(*TINY, f"model={architecture}", "tie_embeddings=false"), freeze=option
    )
    own = {"patterns": ["*attention*"], "n_steps": 2}
    cfg.freeze.update({key: value for key, value in own.items() if key in cfg.freeze.keys()})  # noqa: SIM118 (a missing one too)
    model = build_tiny(cfg)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert all(p.requires_grad for p in model.parameters()) == (option in ("none", "gradual"))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    batch = drawn_batch(model.task)
    for step in range(STEPS):
        optimizer.zero_grad()
        (model.task(model(batch), batch).objective / batch.n_targets).backward()
        model.updates.hold_still(step)
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
