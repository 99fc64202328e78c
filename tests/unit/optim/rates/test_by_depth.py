"""rates=by_depth."""

from functools import partial

import pytest
import torch

from lightning_transformer.models.base import Transformer
from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.sgd import sgd
from lightning_transformer.optim.rates.by_depth import by_depth
from tests.conftest import tiny


def of(model: Transformer, name: str, key: str = "lr") -> float:
    """What AdamW has of the group of a parameter."""
    parameter = dict(model.named_parameters())[name]
    groups = adamw(model, lr=0.1, weight_decay=0.2).param_groups
    (found,) = (g[key] for g in groups if any(p is parameter for p in g["params"]))
    return float(found)


def test_each_block_down_learns_more_slowly() -> None:
    model = tiny("tie_embeddings=false")  # of two blocks
    model.updates.rates = partial(by_depth, decay=0.5)
    rates = {
        "task.head.weight": 0.1,
        "decoder.blocks.1.attention.q.weight": 0.05,
        "decoder.blocks.0.ffn.down.weight": 0.025,
        "embedding.weight": 0.0125,
    }
    assert {name: of(model, name) for name in rates} == pytest.approx(rates)
    assert of(model, "decoder.blocks.0.ffn.down.weight", "weight_decay") == 0.2


def test_of_two_stacks_the_encoder_is_below_the_decoder() -> None:
    model = tiny("model=encoder_decoder", "tie_embeddings=false")
    found = by_depth(model, decay=0.5)
    exponents = {
        name.rpartition(".blocks.")[0] + name.split(".blocks.")[1][0]: found[id(p)]
        for name, p in model.named_parameters()
        if ".blocks." in name
    }
    assert exponents == {"decoder1": 0.5, "decoder0": 0.25, "encoder1": 0.125, "encoder0": 0.0625}
    assert found[id(model.embedding.weight)] == 0.5**5


def test_it_multiplies_the_rates_of_the_initialisation() -> None:
    given = ("init=mup", "init.base_width=16", "tie_embeddings=false", "residual=pre_norm")
    model = tiny(*given)
    name = "decoder.blocks.0.attention.q.weight"
    alone = of(model, name)
    model.updates.rates = partial(by_depth, decay=0.5)
    assert alone == pytest.approx(0.05)
    assert of(model, name) == pytest.approx(0.25 * alone)
    # The scheme leaves the decay of a step as it is, the rates of the run do not.
    assert of(model, name, "weight_decay") == pytest.approx(0.4)


def test_a_step_moves_by_the_rates() -> None:
    model = tiny("tie_embeddings=false")
    model.updates.rates = partial(by_depth, decay=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    adamw(model, lr=0.1, weight_decay=0.0).step()  # whose first step is lr * sign(g)
    after = {name: p.detach() for name, p in model.named_parameters()}
    moved = {name: float((before[name] - p).abs().max()) for name, p in after.items()}
    assert moved["task.head.weight"] == pytest.approx(0.1, rel=1e-4)
    assert moved["embedding.weight"] == pytest.approx(0.0125, rel=1e-4)


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_refuses_a_decay(decay: float) -> None:
    with pytest.raises(ValueError, match=r"^rates\.decay=.* must be above 0 and below 1, for exam"):
        by_depth(tiny(), decay=decay)


def test_refuses_an_optimizer_of_another_kind() -> None:
    model = tiny()
    model.updates.rates = by_depth
    with pytest.raises(ValueError, match=r"^rates gives weights .* lion, or rates=equal$"):
        sgd(model)
