"""Every parameter of every option, and the rule that optimizers update it by.

Models are built from the files below conf/: a new option is listed and judged without an edit here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from lightning_transformer.build import build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.parameter_roles import DeclaresRoles, Role, parameter_roles
from lightning_transformer.optim.param_groups import matrices, param_groups
from tests.conftest import LABELS, compose_config, exchanged, options
from tests.contracts.conformance.design import GROUPS
from tests.helpers.assembly import shrink
from tests.helpers.refusals import companions, refused
from tests.helpers.variants import content, model_of

HEAD = 16  # the width of a head, and more than there are heads or experts
SIZES = ("model.d_model=64", "data.seq_len=16")
# Presets are left out: they choose options of these groups.
CASES = [(g, o) for g in (*GROUPS, "model", "task", "pooling") for o in options(g)]


class Listed(NamedTuple):
    """A parameter, the module that holds it, and whether it is drawn at random."""

    name: str
    holder: nn.Module
    parameter: nn.Parameter
    role: Role
    drawn: bool


def configured(group: str, option: str) -> DictConfig:
    """Two layers of width 64 with this option, in the first architecture that takes it."""
    kinds = [k for k in options("model") if f"{group}={option}" not in refused().get(k, {})]
    if group in ("model", "task"):
        beside = [f"model={model_of(option)}"] if group == "task" else []
        cfg = compose_config(*SIZES, *beside, f"{group}={option}")
    elif group == "pooling":
        cfg = compose_config(*SIZES, "model=encoder_only", "task=classification")
        cfg = exchanged(cfg, pooling=option)
    elif "defaults" in content(group, option):
        beside = companions(compose_config(*SIZES, f"model={kinds[0]}"), group, option)
        chosen = [f"{g}={name}" for g, name in {group: option, **beside}.items()]
        cfg = compose_config(*SIZES, f"model={kinds[0]}", *chosen)
    else:
        cfg = exchanged(compose_config(*SIZES, f"model={kinds[0]}"), **{group: option})
    shrink(cfg[group])
    for key in ("n_layers", "n_encoder_layers", "n_decoder_layers"):
        if key in cfg.model:
            cfg.model[key] = 2
    return cfg


def made(cfg: DictConfig, seed: int = 1) -> Transformer:
    return build_model(cfg, vocabulary=ByteVocabulary(), labels=LABELS, seed=seed)


def rules(model: nn.Module, other: nn.Module) -> Iterator[Listed]:
    """All parameters of a model; other: the same with another seed."""
    roles, drawn = parameter_roles(model), dict(other.named_parameters())
    for path, module in model.named_modules():
        for key, parameter in module.named_parameters(recurse=False):
            name = f"{path}.{key}".removeprefix(".")
            if name in drawn:  # a shared one bears the name of the module that comes first
                random = not torch.equal(parameter, drawn[name])
                yield Listed(name, module, parameter, roles[parameter], random)


@cache
def listed(group: str, option: str) -> tuple[Transformer, tuple[Listed, ...]]:
    cfg = configured(group, option)
    model = made(cfg)
    return model, tuple(rules(model, made(cfg, seed=2)))


def check_groups(model: nn.Module, found: tuple[Listed, ...]) -> None:
    """Each parameter is in one group, by its role."""
    assert [p for _, _, p, *_ in found] == list(model.parameters())
    groups = param_groups(model, 0.1, lr=1.0)
    decays = [(p, g["weight_decay"]) for g in groups for p in g["params"]]
    assert len(decays) == len(dict(decays)) == len(found)
    decay, hidden = dict(decays), set(matrices(model))
    for name, _, parameter, role, _ in found:
        assert (decay[parameter] > 0) == (role in (Role.MATRIX, Role.WEIGHT)), name
        assert (parameter in hidden) == (role is Role.MATRIX), name


def check_start(found: tuple[Listed, ...]) -> None:
    """A gain of 1, an identity or a gate that starts open does not go to zero."""
    for name, _, parameter, role, drawn in found:
        if role.decays:
            assert parameter.ndim >= 2, f"{name} is no linear map, and decays"
            assert drawn or not parameter.any(), f"{name} starts at a constant, and decays"


def check_width(found: tuple[Listed, ...]) -> None:
    """What has an output per head or expert is not orthogonalised."""
    for name, _, parameter, role, _ in found:
        if role is Role.MATRIX:
            assert parameter.ndim == 2, name
            assert min(parameter.shape) >= HEAD, (
                f"{name} of shape {tuple(parameter.shape)} has few outputs: make it FewOutputs or "
                "HeadGate of nn/linear.py"
            )


def check_declared(found: tuple[Listed, ...]) -> None:
    """By default a parameter of a module's own is no weight; of one that is, nobody would know."""
    for name, holder, parameter, _, drawn in found:
        key = name.rsplit(".", 1)[-1]
        declared = holder.param_roles if isinstance(holder, DeclaresRoles) else {}
        for other in declared:
            assert other in holder._parameters, f"{name}: {other} is declared and does not exist"
        known = key == "weight" and isinstance(holder, nn.Linear | nn.Embedding)
        assert known or key in declared or parameter.ndim < 2 or not drawn, (
            f"{name} is drawn at random, as a weight is: say what it is in "
            f"{type(holder).__name__}.param_roles"
        )


def test_options_of_all_layers_are_listed() -> None:
    assert len(CASES) > 100
    assert {("attention", "mamba2"), ("residual", "hyper_connections")} <= set(CASES)


@pytest.mark.parametrize(("group", "option"), CASES)
def test_every_parameter_is_updated_by_the_rule_of_its_role(group: str, option: str) -> None:
    model, found = listed(group, option)
    check_groups(model, found)
    check_start(found)
    check_width(found)
    check_declared(found)


NAMED = [
    ("attention", "talking_heads", "attention.before", Role.FACTOR),
    ("attention", "talking_heads", "attention.after", Role.FACTOR),
    ("attention", "gated", "attention.gate.weight", Role.MATRIX),
    ("attention", "value_residual", "attention.mix", Role.FACTOR),
    ("attention", "sinks", "attention.sinks", Role.FACTOR),
    ("attention", "differential", "attention.lam_q1", Role.FACTOR),
    ("attention", "mamba2", "attention.dt.weight", Role.WEIGHT),
    ("attention", "mamba2", "attention.conv.weight", Role.WEIGHT),
    ("attention", "mamba2", "attention.A_log", Role.FACTOR),
    ("attention", "gated_deltanet", "attention.a.weight", Role.WEIGHT),
    ("attention", "gated_deltanet", "attention.b.weight", Role.WEIGHT),
    ("attention", "gated_deltanet", "attention.g.weight", Role.MATRIX),
    ("ffn", "moe", "ffn.router.weight", Role.WEIGHT),
    ("ffn", "moe", "ffn.experts.up", Role.WEIGHT),
    ("ffn", "moe_sigmoid", "ffn.experts.down", Role.WEIGHT),
    ("residual", "hyper_connections", "residual.static", Role.FACTOR),
    ("residual", "hyper_connections", "residual.sizes", Role.FACTOR),
    ("residual", "hyper_connections", "residual.weight", Role.WEIGHT),
    ("residual", "layerscale", "residual.scale", Role.FACTOR),
    ("residual", "rezero", "residual.a", Role.FACTOR),
    ("residual", "normformer", "residual.scale", Role.FACTOR),
    ("norm", "rmsnorm", "final_norm.weight", Role.FACTOR),
    ("position", "learned", "position.table.weight", Role.TABLE),
    ("position", "t5_bias", "position.table.weight", Role.TABLE),
    ("embedding", "factorised", "embedding.up.weight", Role.MATRIX),
    ("embedding", "plain", "embedding.weight", Role.TABLE),
    ("task", "classification", "task.head.weight", Role.WEIGHT),
    ("task", "multi_token", "task.future.0.weight", Role.MATRIX),
]


@pytest.mark.parametrize(("group", "option", "name", "role"), NAMED)
def test_what_each_is(group: str, option: str, name: str, role: Role) -> None:
    found = [entry for entry in listed(group, option)[1] if entry.name.endswith(name)]
    assert found
    assert {entry.role for entry in found} == {role}


def test_a_gate_per_head_is_no_matrix() -> None:
    cfg = configured("attention", "gated")
    cfg.attention.per_head = True
    found = tuple(rules(made(cfg), made(cfg, seed=2)))
    gates = [entry for entry in found if entry.name.endswith("gate.weight")]
    assert {tuple(gate.parameter.shape) for gate in gates} == {(4, 64)}
    assert {gate.role for gate in gates} == {Role.FACTOR}
    check_width(found)


@pytest.mark.parametrize("tied", ["true", "false"])
@pytest.mark.parametrize("kind", options("model"))
def test_the_default_models_fall_under_the_rule_of_shapes(kind: str, tied: str) -> None:
    """In the same order, so that the state of optimizers that was saved before still fits."""
    cfg = compose_config(*SIZES, f"model={kind}", f"tie_embeddings={tied}")
    model = made(cfg)
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    heads = {id(m.weight) for m in model.modules() if isinstance(m, Head)}
    wide = [p for p in model.parameters() if p.ndim >= 2 and id(p) not in tables]
    rest = [p for p in model.parameters() if p.ndim < 2 or id(p) in tables]
    decay, no_decay = param_groups(model, 0.1)
    assert list(map(id, decay["params"])) == list(map(id, wide))
    assert list(map(id, no_decay["params"])) == list(map(id, rest))
    assert list(map(id, matrices(model))) == [id(p) for p in wide if id(p) not in heads]


# -- the checks see their faults ------------------------------------------------------------------


class Faulty(nn.Module):
    """A linear layer with few outputs, an identity that decays, and a weight that says nothing."""

    param_roles = {"identity": Role.WEIGHT}  # noqa: RUF012

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.narrow = nn.Linear(64, 4)
        self.identity = nn.Parameter(torch.eye(4))
        self.silent = nn.Parameter(torch.randn(64, 64, generator=draw))


def test_the_checks_see_their_faults() -> None:
    found = tuple(rules(Faulty(1), Faulty(2)))
    with pytest.raises(AssertionError, match="identity starts at a constant, and decays"):
        check_start(found)
    with pytest.raises(AssertionError, match=r"narrow.weight of shape \(4, 64\) has few outputs"):
        check_width(found)
    with pytest.raises(AssertionError, match="silent is drawn at random, as a weight is"):
        check_declared(found)
