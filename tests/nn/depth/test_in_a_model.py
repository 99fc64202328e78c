"""Layers that share blocks: a model computes what one without sharing and equal weights would."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.models.size import measure
from lightning_transformer.nn.init.base import Site, initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.residual.rezero import ReZero
from tests.conftest import noise, tiny
from tests.tasks.drawn import drawn_batch

# What is typed, the order in which blocks are run, and the layers of a model without sharing.
CASES = {
    "shared": (("depth=shared", "model.n_layers=3"), (0, 0, 0)),
    "two": (("depth=shared", "depth.n_blocks=2", "model.n_layers=4"), (0, 0, 1, 1)),
    "cycle": (("depth=cycle", "depth.n_blocks=2", "model.n_layers=5"), (0, 1, 0, 1, 0)),
    "looped": (("depth=looped", "model.n_layers=2"), (0, 1, 0, 1)),
}
MORE = {"block=macaron": ("block=macaron",), "wide": ("residual=hyper_connections",)}


def unrolled(shared: Any, order: tuple[int, ...], *more: str) -> Any:
    """The same numbers in a model whose layers all have weights of their own."""
    model: Any = tiny(f"model.n_layers={len(order)}", *more)
    model.load_state_dict(
        {
            name: value
            if not name.startswith("decoder.blocks.")
            else shared.decoder.blocks[order[int(name.split(".")[2])]].state_dict()[
                name.split(".", 3)[3]
            ]
            for name, value in (model.state_dict() | outside(shared)).items()
        }
    )
    return model


def outside(model: Any) -> dict[str, Tensor]:
    """All weights that are not in blocks."""
    return {n: v for n, v in model.state_dict().items() if not n.startswith("decoder.blocks.")}


def loss(model: Any) -> Tensor:
    batch = drawn_batch(model.task)
    return model.task(model.features(batch), batch).objective


@pytest.mark.parametrize("more", [(), *MORE.values()])
@pytest.mark.parametrize(("typed", "order"), CASES.values(), ids=CASES)
def test_as_without_sharing(typed: Any, order: tuple[int, ...], more: tuple[str, ...]) -> None:
    """Losses are equal, and the gradient of a block is the sum over the layers that it computes."""
    model: Any = tiny(*typed, *more)
    other = unrolled(model, order, *more)
    assert model.decoder.order == order
    loss(model).backward()
    loss(other).backward()
    torch.testing.assert_close(loss(model), loss(other), rtol=0, atol=1e-10)
    for number, block in enumerate(model.decoder.blocks):
        for name, parameter in block.named_parameters():
            layers = [other.decoder.blocks[i] for i, b in enumerate(order) if b == number]
            wanted = sum(dict(layer.named_parameters())[name].grad for layer in layers)
            torch.testing.assert_close(parameter.grad, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("typed", "order"), CASES.values(), ids=CASES)
def test_what_is_counted(typed: Any, order: tuple[int, ...]) -> None:
    """Weights once; additions to the stream, FLOPs and caches for every layer that is run."""
    model, one, plain = tiny(*typed), tiny("model.n_layers=1"), tiny(f"model.n_layers={len(order)}")
    per_block = sum(p.numel() for p in one.decoder.blocks.parameters())
    assert sum(p.numel() for p in model.decoder.blocks.parameters()) == per_block * len({*order})
    assert measure(model, 16).flops_per_token == measure(plain, 16).flops_per_token
    assert measure(model, 16).n_params < measure(plain, 16).n_params
    decoder: Any = model.decoder
    assert (decoder.n_layers, decoder.n_residuals) == (len(order), 2 * len(order))
    assert len(decoder.new_cache(16).layers) == len(order)
    assert len({id(layer.own) for layer in decoder.new_cache(16).layers}) == len(order)


class Sites(Normal):
    """Writes down the sites that it is told."""

    def residual_out(self, weight: Tensor, site: Site, generator: torch.Generator) -> None:
        self.told.add(site)


def test_init_is_told_the_layers_that_are_run() -> None:
    scheme = Sites()
    object.__setattr__(scheme, "told", set())
    model: Any = tiny("model=encoder_decoder", "model.n_decoder_layers=3", "depth=looped")
    initialise(model, scheme, 1)
    encoder = Site(n_residuals=8, n_layers=4, n_readers=6, width=32)
    decoder = Site(n_residuals=18, n_layers=6, reads_source=True, width=32)
    assert scheme.told == {encoder, decoder}


@pytest.mark.parametrize(("typed", "order"), CASES.values(), ids=CASES)
def test_decoding_is_the_whole_pass(typed: Any, order: tuple[int, ...]) -> None:
    decoder: Any = tiny(*typed).decoder
    x, cache = noise(2, 7, 32), decoder.new_cache(16)
    steps = [decoder(x[:, :3], cache=cache)]
    steps += [decoder(x[:, t : t + 1], cache=cache) for t in range(3, 7)]
    torch.testing.assert_close(torch.cat(steps, 1), decoder(x), rtol=0, atol=1e-10)


def gradients(model: Any) -> list[Tensor]:
    model.train().zero_grad()
    torch.manual_seed(0)
    loss(model).backward()
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize(("typed", "order"), CASES.values(), ids=CASES)
def test_blocks_computed_again(typed: Any, order: tuple[int, ...]) -> None:
    more = ("model.stochastic_depth=0.5", "residual.dropout=0.2")
    model: Any = tiny(*typed, *more)
    wanted = gradients(model)
    model.decoder.checkpoint_blocks()
    assert all(map(torch.equal, gradients(model), wanted))


@pytest.mark.slow
@pytest.mark.parametrize(("typed", "order"), CASES.values(), ids=CASES)
def test_compiled_blocks(typed: Any, order: tuple[int, ...]) -> None:
    model: Any = tiny(*typed)
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
    with pytest.raises(ValueError, match=rf"residual={residual} tells layers apart .*depth=plain"):
        tiny(f"residual={residual}", "depth=shared")
    assert isinstance(tiny("residual=rezero", "depth=shared").decoder._residuals[0], ReZero)
