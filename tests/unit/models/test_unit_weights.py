"""The hook that keeps weights at length 1."""

import pytest
import torch

from lightning_transformer.models.unit_weights import keep_unit_norm
from lightning_transformer.optim.optimizers.schedule_free import schedule_free
from tests.conftest import noise, tiny


def stepped(dims: list[int]) -> list[torch.Tensor]:
    """Weights of 2 x 3 after one step of SGD from zero gradient to a known one."""
    weights = [torch.nn.Parameter(noise(2, 3, seed=seed)) for seed in range(3)]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    keep_unit_norm(optimizer, list(zip(weights, dims, strict=False)))
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    return [weight.detach() for weight in weights]


def test_after_the_step_and_along_the_dimension() -> None:
    moved = [noise(2, 3, seed=seed) - 0.1 for seed in range(3)]
    one, two, free = stepped([0, 1])
    torch.testing.assert_close(one, moved[0] / moved[0].norm(dim=0), rtol=0, atol=1e-15)
    rows = moved[1] / moved[1].norm(dim=1, keepdim=True)
    torch.testing.assert_close(two, rows, rtol=0, atol=1e-15)
    torch.testing.assert_close(free, moved[2], rtol=0, atol=1e-15)


def test_schedule_free_is_refused_only_where_there_are_such_weights() -> None:
    model = tiny("optimizer=schedule_free", "schedule=constant")
    optimizer = schedule_free(model)
    keep_unit_norm(optimizer, [])
    with pytest.raises(ValueError, match=r"^optimizer=schedule_free .* use optimizer=adamw$"):
        keep_unit_norm(optimizer, [(next(model.parameters()), 1)])
