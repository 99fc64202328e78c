"""position=rope_nope."""

import pytest
import torch

from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.local_global import LocalGlobal
from lightning_transformer.nn.position.rope_nope import RoPENoPE
from tests.conftest import noise, tiny
from tests.unit.nn.position.scaled import sizes


def test_the_cycle_is_that_of_local_global() -> None:
    for n in (1, 2, 3):
        position, pattern = RoPENoPE(n_rope=n, **sizes()), LocalGlobal(n_local=n)
        for layer in range(9):
            assert position.acts_on(layer) == (pattern.for_layer(layer) != Full())


def test_a_stack_turns_the_layers_that_it_says() -> None:
    """Two layers, the first with rotation: only what it does depends on distances."""
    model = tiny("position=rope_nope", "position.n_rope=1", "model.n_layers=2")
    stack, turned = model.decoder, []
    for block in stack.blocks:
        block.attention.register_forward_pre_hook(
            lambda module, args: turned.append(
                not torch.equal(args[1].rotate(PROBE), PROBE),
            )
        )
    stack(noise(1, 5, 32))
    assert turned == [True, False]


PROBE = noise(1, 2, 5, 8)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_rope=0 must be at least 1, for example 1$"):
        RoPENoPE(n_rope=0, **sizes())
