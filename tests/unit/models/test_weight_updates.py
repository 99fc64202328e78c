"""What a run sets on its model for its updates."""

import pytest
import torch
from torch import nn

from lightning_transformer.build import add_adapter
from lightning_transformer.models.weight_updates import WeightUpdates, keep_unit_norm
from lightning_transformer.optim.optimizers.schedule_free import schedule_free
from tests.conftest import TINY, build_tiny, compose_config, noise, tiny


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(("option", "factor"), [("none", 1.0), ("lora", 10.0)])
def test_an_adapter_multiplies_every_rate(optimizer: str, option: str, factor: float) -> None:
    cfg = compose_config(*TINY, f"optimizer={optimizer}", f"adapter={option}")
    model = build_tiny(cfg)
    add_adapter(cfg, model, new=["task.head.weight", "embedding.weight"])
    plain = [group["lr"] for group in model.make_optimizer(model).param_groups]
    found = [group["lr"] for group in model.new_optimizer().param_groups]
    assert found == pytest.approx([factor * rate for rate in plain])


def test_vectors_without_a_gradient_keep_their_bits() -> None:
    weights = [nn.Parameter(torch.tensor([[3.0, 4.0]])) for _ in range(2)]
    optimizer = WeightUpdates().on(torch.optim.SGD(weights, lr=0.0), [(w, 1) for w in weights])
    weights[0].grad = torch.zeros(1, 2)
    optimizer.step()
    assert weights[0].tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    assert weights[1].tolist() == [[3.0, 4.0]]


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
