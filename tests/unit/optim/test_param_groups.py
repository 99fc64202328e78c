import pytest
import torch
from torch import nn

from lightning_transformer.nn.linear import Head, ResidualOut
from lightning_transformer.nn.parameter_roles import Role
from lightning_transformer.optim.param_groups import matrices, param_groups


class Small(nn.Module):
    """One of each kind of parameter; the head may share the embedding's tensor."""

    param_roles = {"experts": Role.WEIGHT}  # noqa: RUF012

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, 4)
        self.positions = nn.Embedding(8, 4)
        self.norm = nn.LayerNorm(4)
        self.up = nn.Linear(4, 6)
        self.out = ResidualOut(6, 4, bias=False)
        self.experts = nn.Parameter(torch.randn(2, 4, 4))
        self.mixing = nn.Parameter(torch.eye(4))
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.head = Head(4, 11, bias=False)
        if tied:
            self.head.weight = self.tokens.weight


def names(model: nn.Module, parameters: list) -> list[str]:
    by_id = {id(parameter): name for name, parameter in model.named_parameters()}
    return [by_id[id(parameter)] for parameter in parameters]


@pytest.mark.parametrize("tied", [False, True])
def test_every_trainable_parameter_is_in_exactly_one_group(tied):
    model = Small(tied)
    decay, no_decay = param_groups(model, 0.1)
    assert (decay["name"], decay["weight_decay"]) == ("decay", 0.1)
    assert (no_decay["name"], no_decay["weight_decay"]) == ("no_decay", 0.0)
    head = [] if tied else ["head.weight"]
    assert names(model, decay["params"]) == ["experts", "up.weight", "out.weight", *head]
    assert names(model, no_decay["params"]) == [
        "mixing",
        "gain",
        "tokens.weight",
        "positions.weight",
        "norm.weight",
        "norm.bias",
        "up.bias",
    ]
    assert len(decay["params"]) + len(no_decay["params"]) == len(list(model.parameters()))


def test_frozen_parameters_and_empty_groups_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.LayerNorm(2))
    model[1].requires_grad_(False)
    (group,) = param_groups(model, 0.1)
    assert names(model, group["params"]) == ["0.weight"]
    assert group["name"] == "decay"


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(ValueError, match="ReLU has no trainable parameter") as caught:
        param_groups(nn.ReLU(), 0.1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tied", [False, True])
def test_matrices_are_the_hidden_linear_weights(tied):
    model = Small(tied)
    assert names(model, matrices(model)) == ["up.weight", "out.weight"]


def test_matrices_skip_frozen_shared_and_tied_weights():
    model = Small(tied=False)
    model.again = nn.Linear(4, 6)
    model.again.weight = model.up.weight  # shared: once
    model.plain_head = nn.Linear(4, 11)
    model.plain_head.weight = model.tokens.weight  # tied to an embedding by a plain Linear
    model.readout = nn.Linear(4, 11)
    model.readout.weight = model.head.weight  # shared with a Head
    model.out.requires_grad_(False)
    assert names(model, matrices(model)) == ["up.weight"]


def test_a_parametrized_weight_is_no_matrix_of_muon():
    model = nn.Sequential(nn.Linear(3, 3))
    nn.utils.parametrizations.weight_norm(model[0])
    assert matrices(model) == []
