"""What every adapter promises, in each architecture; options are found in conf/."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_transformer.build import add_adapter, build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import ATTRIBUTE, Adapter, merge_adapters
from tests.conftest import LABELS, TINY, compose_config, exchanged, noise, options
from tests.unit.tasks.drawn import drawn_batch

OPTIONS = [name for name in options("adapter") if name != "none"]
ARCHITECTURES = options("model")
SMALL = {"rank": 2, "width": 3, "dropout": 0.0, "n_tokens": 3}
BIASES = ("attention.bias=true", "ffn.bias=true")
NEW = ("task.head.weight",)
READ_FIRST = ("prompt", "prefix")  # something before each row, which no start hides


def started(architecture: str, option: str) -> tuple[Transformer, Transformer]:
    """A base whose biases are not zero, and the same with an adapter; its head is new."""
    cfg = compose_config(*TINY, f"model={architecture}", "tie_embeddings=false", *BIASES)
    cfg = exchanged(cfg, adapter=option)
    cfg.adapter.update({key: value for key, value in SMALL.items() if key in cfg.adapter})
    base = build_model(cfg, vocabulary=ByteVocabulary(), labels=LABELS, seed=1).double()
    with torch.no_grad():
        for number, (name, parameter) in enumerate(base.named_parameters()):
            if name.endswith(".bias"):
                parameter.copy_(0.1 * noise(*parameter.shape, seed=number))
    model = copy.deepcopy(base)
    add_adapter(cfg, model, new=NEW)
    return base.eval(), model.eval()


def loss(model: Transformer) -> torch.Tensor:
    batch = drawn_batch(model.task)
    return model.task(model(batch), batch).objective / batch.n_targets


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("option", OPTIONS)
def test_it_starts_as_the_base_moves_all_that_it_trains_and_nothing_else(
    option: str, architecture: str
) -> None:
    base, model = started(architecture, option)
    if option not in READ_FIRST:
        torch.testing.assert_close(loss(model), loss(base), rtol=1e-12, atol=0)
    start = loss(model).detach()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    own = set(trained(model))
    assert set(NEW) <= own
    assert len(own) < len(before)
    optimizer = torch.optim.Adam(trained(model).values(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        value = loss(model)
        value.backward()
        optimizer.step()
    assert loss(model) < start - 1e-3
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != (name in own), name
        assert (parameter.grad is None) == (name not in own), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("option", OPTIONS)
def test_merged_it_has_the_names_of_the_base_and_computes_the_same(
    option: str, architecture: str
) -> None:
    base, model = started(architecture, option)
    with torch.no_grad():
        for number, parameter in enumerate(trained(model).values()):
            parameter.add_(0.1 * noise(*parameter.shape, seed=number))
        adapted = loss(model)
        assert abs(float(adapted - loss(base))) > 1e-6
        kinds = {type(m) for m in model.modules() if isinstance(m, Adapter)}
        if any(kind.merge is Adapter.merge for kind in kinds):
            with pytest.raises(ValueError, match=r"cannot be merged into a layer's weights$"):
                merge_adapters(model)
            assert any(hasattr(m, ATTRIBUTE) for m in model.modules())
        else:
            merge_adapters(model)
            names = [name for name, _ in model.named_parameters()]
            assert names == [name for name, _ in base.named_parameters()]
        torch.testing.assert_close(loss(model), adapted, rtol=1e-10, atol=0)


@pytest.mark.parametrize("option", OPTIONS)
def test_initial_values_follow_from_the_seed_and_the_name_alone(option: str) -> None:
    _, one = started("decoder_only", option)
    _, other = started("decoder_only", option)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    drawn = [p for n, p in one.named_parameters() if ".adapter." in n and float(p.std()) > 0]
    assert len({float(p.flatten()[0]) for p in drawn}) == len(drawn)
