"""What holds for every file below conf/optimizer: saved and loaded, cut over processes, decay."""

from __future__ import annotations

import copy
import inspect
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
import torch.distributed as dist
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from lightning_transformer.nn.linear import Head
from lightning_transformer.paths import CONF
from tests.conftest import options
from tests.helpers.variants import built_class, stated

Build = Callable[..., torch.optim.Optimizer]
NAMES = options("optimizer")


def build(name: str) -> Build:
    factory = hydra.utils.instantiate(OmegaConf.load(CONF / "optimizer" / f"{name}.yaml"))
    assert callable(factory)
    return factory


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(7, 8), nn.Linear(8, 6), nn.LayerNorm(6), Head(6, 7, bias=False)
    )


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    """One update from gradients that depend on the number alone; of shards, this part of them."""
    generator = torch.Generator().manual_seed(number)
    for p in model.parameters():
        grad = torch.randn(p.shape, generator=generator)
        cut = isinstance(p, DTensor)
        p.grad = distribute_tensor(grad, p.device_mesh, p.placements) if cut else grad
    optimizer.step()


def whole(model: nn.Module) -> list[Tensor]:
    return [p.full_tensor() if isinstance(p, DTensor) else p for p in model.parameters()]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(whole(one), whole(other), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_state_dict_goes_on_bit_for_bit(name: str) -> None:
    model = small()
    optimizer = build(name)(model)
    for number in range(3):
        step(model, optimizer, number)
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], file)
    file.seek(0)
    kept, state = torch.load(file, weights_only=True)
    other = small(seed=1)
    other.load_state_dict(kept)
    again = build(name)(other, lr=1.0)
    again.load_state_dict(state)
    for number in range(3, 6):
        step(model, optimizer, number)
        step(other, again, number)
    assert same(model, other)
    assert not any(
        torch.equal(a, b) for a, b in zip(model.parameters(), kept.values(), strict=True)
    )


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    """A mesh of this one process; DTensors on it take the same ways as on many."""
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", rank=0, world_size=1, store=store)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.parametrize("name", NAMES)
def test_shards_are_updated_as_whole_tensors_or_refused(name: str, mesh: DeviceMesh) -> None:
    model, cut = small(), small()
    for module in cut:
        for key, p in list(module.named_parameters()):
            module.register_parameter(key, nn.Parameter(distribute_tensor(p, mesh, [Shard(0)])))
    if stated("optimizer", name, "NEEDS_FULL_TENSORS", False):
        with pytest.raises(ValueError, match=f"^optimizer={name} needs .* use") as caught:
            build(name)(cut)
        assert "\n" not in str(caught.value)
        return
    one, other = build(name)(model), build(name)(cut)
    for number in range(3):
        step(model, one, number)
        step(cut, other, number)
    tolerance = stated("optimizer", name, "SHARD_TOLERANCE", 0.0)
    for a, b in zip(whole(model), whole(cut), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
    for p, q in zip(model.parameters(), cut.parameters(), strict=True):
        for key, value in one.state[p].items():
            part = other.state[q][key]
            assert isinstance(part, DTensor) == (value.shape == p.shape), key
            full = part.full_tensor() if isinstance(part, DTensor) else part
            assert torch.equal(full, value), key


@pytest.mark.parametrize("name", NAMES)
def test_decay_acts_on_matrices_and_on_all_if_asked(name: str) -> None:
    """With gradients of zero, decay alone moves a weight."""
    rest = {"0.weight", "1.bias", "2.weight", "2.bias"}
    for decay_all in (False, True):
        model = small()
        with torch.no_grad():
            for p in model.parameters():
                p.fill_(1.0)
        before = copy.deepcopy(model)
        taken = inspect.signature(built_class("optimizer", name)).parameters
        decays = {key: 0.1 for key in taken if key.endswith("weight_decay")}
        optimizer = build(name)(model, decay_all=decay_all, **decays)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        now = dict(before.named_parameters())
        moved = {n for n, p in model.named_parameters() if not torch.equal(p, now[n])}
        assert moved == {"1.weight", "3.weight"} | (rest if decay_all else set())
        assert all(bool((p <= 1).all()) for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_decay_of_all_without_any_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^optimizer\.decay_all=true does nothing") as caught:
        build(name)(small(), weight_decay=0.0, decay_all=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_without_a_gradient_stays(name: str) -> None:
    model = small()
    optimizer = build(name)(model)
    step(model, optimizer, 0)
    before = copy.deepcopy(model)
    state = copy.deepcopy(optimizer.state_dict())
    optimizer.zero_grad()
    optimizer.step()
    assert same(model, before)
    for number, kept in optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, state["state"][number][k]) for k, value in kept.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_runs_once_with_gradients(name: str) -> None:
    model = small()
    optimizer = build(name)(model)
    calls: list[Tensor] = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(torch.arange(7)).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        calls.append(loss)
        return loss

    assert optimizer.step(closure) is calls[0]  # type: ignore[arg-type, comparison-overlap]
    assert len(calls) == 1
    assert not same(model, small())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("lr", [0.0, -1.0, math.inf, math.nan, "fast"]),
        ("muon_lr", [0.0, -1.0, math.nan]),
        ("weight_decay", [-0.1, math.inf]),
        ("muon_weight_decay", [-0.1, math.nan]),
        ("beta1", [-0.1, 1.0, math.nan]),
        ("beta2", [-0.1, 1.0, 1.5]),
        ("beta3", [-0.1, 1.0, math.nan]),
        ("row_beta2", [-0.1, 1.0]),
        ("momentum", [-0.1, 1.0]),
        ("eps", [0.0, -1e-8, math.nan]),
        ("momentum_decay", [-0.1, math.nan]),
        ("beta2_decay", [0.0, -1.5, math.nan, "a"]),
        ("min_rms", [0.0, math.nan]),
        ("clip_rms", [0.9, -1.0, math.nan]),
        ("gamma", [-0.1, math.inf]),
        ("precondition_every", [0, 1.5, math.nan]),
        ("max_size", [0, "a"]),
    ],
)
def test_options_out_of_range_are_refused_in_one_line(
    name: str, option: str, values: list[Any]
) -> None:
    make, layer = built_class("optimizer", name), nn.Linear(2, 2)
    if option not in inspect.signature(make).parameters:
        with pytest.raises(TypeError):  # an option of another optimizer is never ignored
            make(layer, **{option: 0.5})
        return
    for value in values:
        with pytest.raises(ValueError, match=f"^optimizer.{option}=") as caught:
            make(layer, **{option: value})
        message = str(caught.value)
        assert repr(value) in message
        assert "for example" in message
        assert "\n" not in message
