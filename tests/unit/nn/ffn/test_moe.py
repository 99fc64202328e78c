"""ffn=moe: against Hugging Face's layers, and what its losses and settings promise."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from transformers.models.mixtral.configuration_mixtral import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import (
    MixtralSparseMoeBlock,
    load_balancing_loss_func,
)
from transformers.models.qwen3_moe.configuration_qwen3_moe import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.activation.relu import ReLU
from lightning_transformer.nn.activation.swiglu import SwiGLU
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.depth_scaled import DepthScaled
from lightning_transformer.nn.init.xavier import Xavier
from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.muon import muon
from tests.conftest import noise
from tests.helpers.assembly import assemble, built

D, E = 16, 6


def moe(**options) -> MoE:
    """Of six experts, three of which a token uses, with weights that say something."""
    layer = MoE(D, **{"activation": SwiGLU, "n_experts": E, "top_k": 3} | options).double()
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = 0.5 * noise(*parameter.shape, seed=number)
    return layer


def routing(layer: MoE, x: torch.Tensor):
    layer.record_routings()
    layer(x)
    return layer.take_routings()[0]


@pytest.mark.parametrize("normalise", [True, False])
def test_equals_hugging_face(normalise: bool) -> None:
    x, mine = noise(2, 7, D), moe(hidden_mult=1.5, normalise=normalise)
    sizes = {"hidden_size": D, "num_experts_per_tok": 3, "norm_topk_prob": normalise}
    width = mine.experts.down.shape[-1]
    config = Qwen3MoeConfig(moe_intermediate_size=width, num_experts=E, **sizes)
    theirs = [Qwen3MoeSparseMoeBlock(config)]
    if normalise:
        config = MixtralConfig(intermediate_size=width, num_local_experts=E, **sizes)
        theirs.append(MixtralSparseMoeBlock(config))
    for block in theirs:
        block.double()
        block.gate.weight.data = mine.router.weight.data
        block.experts.gate_up_proj.data = mine.experts.up.data
        block.experts.down_proj.data = mine.experts.down.data
        # They take the softmax in float32.
        torch.testing.assert_close(mine(x), block(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", [SwiGLU, GELU])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_grouped_products_equal_every_expert_on_every_token(activation, dtype) -> None:
    exact = moe(activation=activation, n_shared=1)
    layer = MoE(D, activation=activation, n_experts=E, top_k=3, n_shared=1)
    layer.load_state_dict(exact.state_dict())
    layer.to(dtype)
    exact.load_state_dict(layer.state_dict())  # as rounded
    x, weight = noise(2, 9, D).to(dtype), noise(2, 9, D)
    tolerance = 1e-5 if dtype == torch.float32 else 0.02  # of the largest number
    ys = [layer(x), exact(x.double())]
    assert float((ys[0] - ys[1]).detach().abs().max()) < tolerance * float(
        ys[1].detach().abs().max()
    )
    for y in ys:
        (y * weight.to(y.dtype)).sum().backward()
    for (name, a), b in zip(layer.named_parameters(), exact.parameters(), strict=True):
        size = float(b.grad.abs().max())
        assert float((a.grad.double() - b.grad).abs().max()) < tolerance * size, name


def test_a_token_does_not_depend_on_its_neighbours() -> None:
    layer, x = moe(n_shared=1), noise(4, 5, D)
    torch.testing.assert_close(layer(x)[2:3, 1:], layer(x[2:3, 1:]), rtol=0, atol=1e-12)
    layer.float()
    x = x.float()
    torch.testing.assert_close(layer(x)[2:3, 1:], layer(x[2:3, 1:]), rtol=0, atol=1e-5)


def test_scale_and_shared_expert() -> None:
    x, layer = noise(2, 3, D), moe(n_shared=2, scale=2.5)
    shared = layer.shared(x)
    assert layer.shared.down.in_features == 2 * layer.experts.down.shape[-1]
    layer.n_shared, plain = 0, layer(x) - shared
    torch.testing.assert_close(layer(x), plain, rtol=0, atol=1e-12)
    layer.scale = 1.0
    torch.testing.assert_close(2.5 * layer(x), plain, rtol=0, atol=1e-12)


def test_load_balancing_loss_is_that_of_hugging_face() -> None:
    layer, x = moe(aux_loss=0.5, z_loss=0.0), noise(2, 5, D)
    seen = routing(layer, x)
    for real in (torch.ones(2, 5, dtype=torch.bool), torch.arange(5) < torch.tensor([[5], [2]])):
        theirs = load_balancing_loss_func(
            (seen.logits.flatten(0, 1),), E, top_k=3, attention_mask=real.long()
        )
        load = layer.load(seen, real)
        assert int(load.sum()) == 3 * int(real.sum())
        # Theirs adds up the choices of a token, ours takes their mean.
        wanted = 0.5 * theirs.double() / 3
        torch.testing.assert_close(layer.auxiliary(seen, real, load), wanted, rtol=0, atol=1e-6)


def test_even_load_costs_aux_loss_and_uneven_more() -> None:
    layer = moe(aux_loss=0.01, z_loss=0.0, n_experts=4, top_k=1, normalise=False)
    real = torch.ones(1, 8, dtype=torch.bool)
    even = 5 * torch.nn.functional.one_hot(torch.arange(8) % 4)[None].double()
    seen = routing(layer, noise(1, 8, D))._replace(logits=even, chosen=even.argmax(-1)[..., None])
    assert float(layer.auxiliary(seen, real, layer.load(seen, real))) == pytest.approx(0.01)
    uneven = seen._replace(
        logits=even[:, :1].expand(1, 8, 4), chosen=seen.chosen[:, :1].expand(1, 8, 1)
    )
    p = torch.tensor([5.0, 0, 0, 0], dtype=torch.float64).softmax(0)[0]
    cost = float(layer.auxiliary(uneven, real, layer.load(uneven, real)))
    assert cost == pytest.approx(0.01 * 4 * float(p))


def test_z_loss_and_what_pads_cost() -> None:
    layer, x = moe(aux_loss=0.3, z_loss=0.1), noise(2, 5, D)
    real = torch.arange(5) < torch.tensor([[5], [3]])
    seen = routing(layer, x)
    cost = layer.auxiliary(seen, real, layer.load(seen, real))
    moved = seen._replace(logits=torch.where(real[..., None], seen.logits, 1e4))
    assert torch.equal(layer.auxiliary(moved, real, layer.load(moved, real)), cost)
    layer.aux_loss = 0.0
    wanted = 0.1 * seen.logits[real].logsumexp(-1).square().mean()
    alone = layer.auxiliary(seen, real, layer.load(seen, real))
    torch.testing.assert_close(alone, wanted, rtol=0, atol=1e-12)


def test_the_bias_moves_the_choice_and_not_the_weights() -> None:
    layer, x = moe(bias_rate=0.001, normalise=False, top_k=1), noise(1, 6, D)
    assert int(routing(layer, x).chosen.unique().numel()) > 1
    layer.bias_steps[4] = 2000  # b = 2, more than any score
    seen = routing(layer, x)
    assert bool((seen.chosen == 4).all())
    w = seen.logits.softmax(-1)[..., 4:5]
    gate, up = (x @ layer.experts.up[4].T).chunk(2, dim=-1)
    alone = (torch.nn.functional.silu(gate) * up) @ layer.experts.down[4].T
    torch.testing.assert_close(layer(x), w * alone, rtol=0, atol=1e-12)


def test_steps_of_the_bias_survive_a_change_of_precision() -> None:
    layer = moe(bias_rate=0.001)
    layer.bias_steps += 2049
    assert layer.bfloat16().bias_steps.tolist() == [2049] * E


def test_layers_with_experts() -> None:
    def kinds(**options):
        made = [configure_layer(moe(**options), LayerInfo(layer=i, n_layers=5)) for i in range(5)]
        return [type(layer) for layer in made], made

    assert kinds()[0] == [MoE] * 5
    assert kinds(first=1, every=2)[0] == [Dense, MoE, Dense, MoE, Dense]
    dense = kinds(first=3, n_shared=1)[1][0]
    assert dense.down.in_features == 4 * moe().experts.down.shape[-1]
    with pytest.raises(
        ValueError, match="first=5 leaves no layer of 5 with experts; use at most 4"
    ):
        configure_layer(moe(first=5), LayerInfo(layer=0, n_layers=5))


def test_every_expert_is_drawn_as_layers_of_its_own() -> None:
    layer = MoE(64, activation=SwiGLU, n_experts=2, top_k=2, hidden_mult=3.0)
    stack = torch.nn.ModuleDict({"layer": layer})
    initialise(stack, Xavier(), 0)
    hidden = layer.experts.down.shape[-1]
    limit = (6 / (64 + hidden)) ** 0.5  # of one matrix, neither of a pair nor of all experts
    for part in (*layer.experts.up[0].chunk(2), *layer.experts.down):
        assert limit * 0.99 < float(part.detach().abs().max()) <= limit
    initialise(stack, DepthScaled(std=0.02), 1)
    assert not torch.equal(layer.experts.up[0], layer.experts.up[1])
    again = MoE(64, activation=SwiGLU, n_experts=2, top_k=2, hidden_mult=3.0)
    initialise(torch.nn.ModuleDict({"layer": again}), DepthScaled(std=0.02), 1)
    assert torch.equal(layer.experts.up, again.experts.up)


def test_flops_are_those_of_the_active_experts() -> None:
    assert moe(activation=ReLU, hidden_mult=2.0).experts.flops(100.0) == 3 * 2 * (2 * D * 2 * D)


def test_experts_decay_and_muon_leaves_them_to_adamw() -> None:
    model = assemble(ffn="moe")
    groups = {group["name"]: group["params"] for group in muon(model).param_groups}
    experts = {id(p) for n, p in model.named_parameters() if ".experts." in n}
    assert len(experts) == 4
    assert experts <= {id(p) for p in groups["decay"]}
    groups = {group["name"]: group["params"] for group in adamw(model).param_groups}
    assert experts <= {id(p) for p in groups["decay"]}


@pytest.mark.parametrize("option", ["moe", "moe_sigmoid"])
def test_compiles_with_routing_recorded(option: str) -> None:
    torch.compiler.reset()
    layer = partial(built("ffn", option), activation=SwiGLU)(D)
    initialise(layer, DepthScaled(std=0.3), 0)
    x = noise(2, 5, D).float()
    wanted = layer(x)
    layer.record_routings()
    got = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)
    (recorded,) = layer.take_routings()
    assert recorded.logits.requires_grad
    assert layer.routings is None


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"n_experts": 1}, "n_experts=1 must be at least 2"),
        ({"top_k": 7}, "top_k=7 must be at most 6"),
        ({"top_k": 1}, "normalise=true with ffn.top_k=1 makes every weight 1"),
        ({"round_to": 4}, "round_to=4 must be a multiple of 8 for experts; use 8"),
        ({"aux_loss": -1.0}, "aux_loss=-1.0 must be a number of at least 0"),
        ({"every": 0}, "every=0 must be at least 1"),
    ],
)
def test_refuses(options, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        moe(**options)


def test_refuses_a_width_that_no_gpu_groups() -> None:
    with pytest.raises(ValueError, match="=20 must be a multiple of 8 for experts; use 24"):
        MoE(20, activation=SwiGLU)
