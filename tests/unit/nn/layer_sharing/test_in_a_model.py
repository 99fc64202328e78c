"""Layers that share blocks: a model computes what one without sharing and equal weights would."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.models.size import measure
from lightning_transformer.nn.init.base import StackInfo, initialise
from lightning_transformer.nn.init.normal import Normal
from tests.conftest import TINY, build_tiny, compose_config, exchanged, noise, tiny
from tests.unit.tasks.drawn import drawn_batch

# How blocks are shared, the layers that are asked for, and the order in which blocks are run.
Case = tuple[dict[str, str | int], int, tuple[int, ...]]
CASES: dict[str, Case] = {
    "shared": ({"layer_sharing": "sequence"}, 3, (0, 0, 0)),
    "two": ({"layer_sharing": "sequence", "n_blocks": 2}, 4, (0, 0, 1, 1)),
    "cycle": ({"layer_sharing": "cycle", "n_blocks": 2}, 5, (0, 1, 0, 1, 0)),
    "looped": ({"layer_sharing": "looped"}, 2, (0, 1, 0, 1)),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def built(n_layers: int, *, layer_sharing: str = "none", n_blocks: int = 1, **choices: str) -> Any:
    """A tiny decoder; choices are group=option."""
    cfg = exchanged(compose_config(*TINY), layer_sharing=layer_sharing, **choices)
    cfg.model.n_layers = n_layers
    cfg.model.stochastic_depth = 0.5  # in training alone
    if "n_blocks" in cfg.layer_sharing:
        cfg.layer_sharing.n_blocks = n_blocks
    return build_tiny(cfg)


def unrolled(shared: Any, order: tuple[int, ...], **choices: str) -> Any:
    """The same numbers in a model whose layers all have weights of their own."""
    model = built(len(order), **choices)
    model.load_state_dict(outside(shared), strict=False)
    for block, number in zip(model.decoder.blocks, order, strict=True):
        block.load_state_dict(shared.decoder.blocks[number].state_dict())
    return model


def outside(model: Any) -> dict[str, Tensor]:
    """All weights that are not in blocks."""
    return {n: v for n, v in model.state_dict().items() if not n.startswith("decoder.blocks.")}


def loss(model: Any) -> Tensor:
    batch = drawn_batch(model.task)
    return model.task(model.features(batch), batch).objective


@pytest.mark.parametrize("choices", [{}, {"block": "macaron", "residual": "hyper_connections"}])
@every_case
def test_as_without_sharing(case: Case, choices: dict[str, str]) -> None:
    """Losses are equal, and the gradient of a block is the sum over the layers that it computes."""
    shared, n_layers, order = case
    model: Any = built(n_layers, **shared, **choices)
    other = unrolled(model, order, **choices)
    assert model.decoder.order == order
    loss(model).backward()
    loss(other).backward()
    torch.testing.assert_close(loss(model), loss(other), rtol=0, atol=1e-10)
    for number, block in enumerate(model.decoder.blocks):
        for name, parameter in block.named_parameters():
            layers = [other.decoder.blocks[i] for i, b in enumerate(order) if b == number]
            wanted = sum(dict(layer.named_parameters())[name].grad for layer in layers)
            torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-10)


@every_case
def test_what_is_counted(case: Case) -> None:
    """Weights once; additions to the stream, FLOPs and caches for every layer that is run."""
    shared, n_layers, order = case
    model, one, plain = built(n_layers, **shared), built(1), built(len(order))
    per_block = sum(p.numel() for p in one.decoder.blocks.parameters())
    assert sum(p.numel() for p in model.decoder.blocks.parameters()) == per_block * len({*order})
    assert measure(model, 16).flops_per_token == measure(plain, 16).flops_per_token
    assert measure(model, 16).n_params < measure(plain, 16).n_params
    decoder = model.decoder
    assert (decoder.n_layers, decoder.n_residuals) == (len(order), 2 * len(order))
    assert len(decoder.new_cache(16).layers) == len(order)
    assert len({id(layer.own) for layer in decoder.new_cache(16).layers}) == len(order)


class Sites(Normal):
    """Writes down the sites that it is told."""

    def residual_out(self, weight: Tensor, info: StackInfo, generator: torch.Generator) -> None:
        self.told.add(info)


def test_init_is_told_the_layers_that_are_run() -> None:
    scheme = Sites()
    object.__setattr__(scheme, "told", set())
    model: Any = tiny("model=encoder_decoder", "model.n_decoder_layers=3", "layer_sharing=looped")
    initialise(model, scheme, 1)
    encoder = StackInfo(n_residuals=8, n_layers=4, n_readers=6, width=32)
    decoder = StackInfo(n_residuals=18, n_layers=6, reads_source=True, width=32)
    assert scheme.told == {encoder, decoder}


@every_case
def test_decoding_is_the_whole_pass(case: Case) -> None:
    decoder = built(case[1], **case[0]).decoder
    x, cache = noise(2, 7, 32), decoder.new_cache(16)
    steps = [decoder(x[:, :3], cache=cache)]
    steps += [decoder(x[:, t : t + 1], cache=cache) for t in range(3, 7)]
    torch.testing.assert_close(torch.cat(steps, 1), decoder(x), rtol=0, atol=1e-10)


def gradients(model: Any) -> list[Tensor]:
    model.train().zero_grad()
    torch.manual_seed(0)
    loss(model).backward()
    return [p.grad.clone() for p in model.parameters()]


@every_case
def test_blocks_computed_again(case: Case) -> None:
    """Bit by bit, although layers are left out of rows."""
    model = built(case[1], **case[0])
    wanted = gradients(model)
    model.decoder.checkpoint_blocks()
    assert all(map(torch.equal, gradients(model), wanted))


@pytest.mark.slow
@every_case
def test_compiled_blocks(case: Case) -> None:
    model = built(case[1], **case[0])
    wanted = gradients(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model.decoder.compile_blocks("aot_eager")
    for a, b in zip(gradients(model), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert 0 < torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4
    torch._dynamo.reset()


@pytest.mark.parametrize("residual", ["mix_ln", "ln_scaling"])
def test_what_differs_between_layers_is_refused(residual: str) -> None:
    with pytest.raises(
        ValueError, match=rf"residual={residual} differs between layers.*layer_sharing=none"
    ):
        built(2, layer_sharing="sequence", residual=residual)
    built(
        2, layer_sharing="sequence", residual="deepnorm"
    )  # which every layer of a stack has alike
