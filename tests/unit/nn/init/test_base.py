"""Initial weights are a function of the seed and of the tensor's name."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.init.base import Init, StackInfo, initialise
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.linear import Head, ResidualOut
from lightning_transformer.nn.norm.layernorm import LayerNorm
from tests.conftest import tiny


class Roles(Init):
    """Writes down which layer was filled as what."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, tuple[int, ...]]] = []

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        self.seen.append(("linear", info.n_residuals, tuple(weight.shape)))

    def residual_out(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        self.seen.append(("residual_out", info.n_residuals, tuple(weight.shape)))

    def head(self, weight: Tensor, generator: Generator) -> None:
        self.seen.append(("head", 1, tuple(weight.shape)))

    def embedding(self, weight: Tensor, generator: Generator) -> None:
        self.seen.append(("embedding", 1, tuple(weight.shape)))


def model(*more: tuple[str, Callable[[], nn.Module]]) -> nn.Module:
    parts = nn.ModuleDict({name: make() for name, make in more})
    parts["embedding"] = nn.Embedding(7, 4)
    parts["norm"] = LayerNorm(4)
    parts["a"] = nn.Linear(4, 6)
    parts["b"] = ResidualOut(6, 4, bias=False)
    return parts


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def initialised(seed: int = 1, *more: tuple[str, Callable[[], nn.Module]]) -> dict[str, Tensor]:
    module = model(*more)
    initialise(module, Normal(std=0.5), seed)
    return weights(module)


def equal(a: dict[str, Tensor], b: dict[str, Tensor], names: list[str]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in names)


DRAWN = ["embedding.weight", "a.weight", "b.weight"]


def test_the_seed_decides() -> None:
    assert equal(initialised(1), initialised(1), DRAWN)
    assert not any(equal(initialised(1), initialised(2), [name]) for name in DRAWN)


def test_the_global_generator_is_neither_asked_nor_moved() -> None:
    torch.manual_seed(0)
    first = initialised()
    torch.manual_seed(1)
    module = model()
    before = torch.random.get_rng_state()
    initialise(module, Normal(std=0.5), 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert equal(first, weights(module), list(first))


def test_another_module_shifts_nobody_elses_numbers() -> None:
    more = initialised(1, ("first", lambda: nn.Linear(4, 4)), ("second", lambda: Head(4, 9)))
    assert equal(initialised(1), more, list(initialised(1)))


def test_layers_of_one_shape_differ() -> None:
    more = initialised(1, ("one", lambda: nn.Linear(4, 6)), ("two", lambda: nn.Linear(4, 6)))
    assert not equal(more, {"one.weight": more["two.weight"]}, ["one.weight"])


def test_biases_are_zero_and_gains_stay() -> None:
    module = model()
    nn.init.constant_(module["norm"].weight, 3.0)
    initialise(module, Normal(), 1)
    assert not module["a"].bias.any()
    assert torch.equal(module["norm"].weight, torch.full((4,), 3.0))


def test_any_precision_gets_the_same_numbers() -> None:
    module = model().double()
    initialise(module, Normal(std=0.5), 1)
    for name in DRAWN:
        assert torch.equal(weights(module)[name].float(), initialised(1)[name])


def test_weights_without_memory_are_left_alone() -> None:
    with torch.device("meta"):
        module = model()
    initialise(module, Normal(), 1)
    assert module["a"].weight.is_meta


def test_a_tied_weight_is_drawn_once_as_what_comes_first() -> None:
    module, roles = model(), Roles()
    module["head"] = Head(4, 7, bias=False)
    module["head"].weight = module["embedding"].weight
    initialise(module, roles, 1)
    assert [role for role, *_ in roles.seen] == ["embedding", "linear", "residual_out"]


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["model.n_layers=3"], {"decoder": 6}),
        (["model.n_layers=3", "block=parallel"], {"decoder": 3}),
        (["model=encoder_only", "model.n_layers=3"], {"encoder": 6}),
        (
            ["model=encoder_decoder", "model.n_encoder_layers=3", "model.n_decoder_layers=1"],
            {"encoder": 6, "decoder": 3},
        ),
    ],
)
def test_depth_counts_the_additions_to_the_stream(
    overrides: list[str], wanted: dict[str, int]
) -> None:
    built, roles = tiny(*overrides), Roles()
    initialise(built, roles, 1)
    assert {depth for role, depth, _ in roles.seen if role == "residual_out"} == {*wanted.values()}
    assert {name: getattr(built, name).n_residuals for name in wanted} == wanted


def test_roles_in_a_whole_model() -> None:
    built, roles = tiny("position=learned", "ffn.round_to=1", "tie_embeddings=false"), Roles()
    initialise(built, roles, 1)
    count = {role: sum(r == role for r, *_ in roles.seen) for role in ("embedding", "head")}
    assert count == {"embedding": 2, "head": 1}
    # Per layer: queries, keys, values and the two inputs of the gate; two outputs.
    assert sum(role == "linear" for role, *_ in roles.seen) == 2 * 5
    assert sum(role == "residual_out" for role, *_ in roles.seen) == 2 * 2
