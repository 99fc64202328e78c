"""The norm of the gradient and clipping by it; over processes in tests/contracts/test_parity.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from lightning_transformer.distributed.grad_norm import (
    add_up_parts,
    clip_values,
    clip_with_norm,
    global_norm,
)
from tests.conftest import noise


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[DeviceMesh]:
    """A mesh of this one process; DTensors on it take the same ways as on many."""
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", rank=0, world_size=1, store=store)
    yield init_device_mesh("cpu", (1, 1), mesh_dim_names=("data", "tensor"))
    dist.destroy_process_group()


def parameters(*grads: Tensor) -> list[Tensor]:
    made = []
    for grad in grads:
        made.append(torch.zeros_like(grad).requires_grad_())
        made[-1].grad = grad
    return made


def test_plain_gradients_are_clipped_as_torch_does() -> None:
    ours, theirs = (parameters(noise(5, 3), noise(7, seed=1)) for _ in range(2))
    norm = global_norm(ours)
    clip_with_norm(ours, 0.5, norm)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs, 0.5))
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_shards_of_several_meshes_beside_plain_gradients(mesh: DeviceMesh, limit: float) -> None:
    values = [noise(5, 3), noise(7, seed=1), noise(4, 2, seed=2), noise(3, seed=3).float()]
    plain = parameters(*[value.clone() for value in values])
    mixed = parameters(
        values[0].clone(),
        distribute_tensor(values[1].clone(), mesh["data"], [Shard(0)]),
        distribute_tensor(values[2].clone(), mesh, [Replicate(), Shard(1)]),
        values[3].clone(),
    )
    with pytest.raises(RuntimeError, match="mixed"):
        torch.nn.utils.clip_grad_norm_(mixed, limit)
    norm = global_norm(mixed)
    clip_with_norm(mixed, limit, norm)
    wanted = torch.cat([value.double().flatten() for value in values]).norm()
    torch.testing.assert_close(norm, wanted, rtol=1e-7, atol=0)
    torch.nn.utils.clip_grad_norm_(plain, limit)
    for a, b in zip(mixed, plain, strict=True):
        grad = a.grad.full_tensor() if isinstance(a.grad, DTensor) else a.grad
        torch.testing.assert_close(grad, b.grad, rtol=1e-6, atol=0)


def test_the_norm_waits_for_no_number(mesh: DeviceMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = parameters(noise(3), distribute_tensor(noise(4), mesh["data"], [Shard(0)]))

    def read(*_: object) -> None:
        raise AssertionError("a number was read from the device")

    for name in ("item", "tolist", "__float__", "__bool__"):
        monkeypatch.setattr(Tensor, name, read)
    clip_with_norm(mixed, 0.5, global_norm(mixed))


def test_not_finite_gradients_show(mesh: DeviceMesh) -> None:
    bad = distribute_tensor(torch.tensor([1.0, float("nan")]), mesh["data"], [Shard(0)])
    assert not global_norm(parameters(noise(2), bad)).isfinite()


def test_summands_are_added_up_before(mesh: DeviceMesh) -> None:
    from torch.distributed.tensor import Partial

    whole = distribute_tensor(torch.zeros(3), mesh["tensor"], [Replicate()]).requires_grad_()
    whole.grad = DTensor.from_local(torch.ones(3), mesh["tensor"], [Partial()])
    with pytest.raises(AssertionError, match="not been summed"):
        global_norm([whole, *parameters(noise(2))])
    add_up_parts([whole])
    assert whole.grad.placements == (Replicate(),)


def test_each_number_is_clipped_as_torch_does_also_in_shards(mesh: DeviceMesh) -> None:
    values = [noise(5, 3), noise(7, seed=1), noise(4, 2, seed=2), noise(3, seed=3).float()]
    theirs = parameters(*[value.clone() for value in values])
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    mixed = parameters(
        values[0].clone(),
        distribute_tensor(values[1].clone(), mesh["data"], [Shard(0)]),
        distribute_tensor(values[2].clone(), mesh, [Replicate(), Shard(1)]),
        values[3].clone(),
    )
    mixed.append(torch.zeros(2))  # frozen: without a gradient
    clip_values(mixed, 0.5)
    for ours, wanted in zip(mixed[:-1], theirs, strict=True):
        grad = ours.grad
        assert grad is not None
        found = grad.full_tensor() if isinstance(grad, DTensor) else grad
        assert torch.equal(found, wanted.grad)
        assert found.abs().max() == 0.5
