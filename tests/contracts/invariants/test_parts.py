"""Invariants 14 to 16, 18, 38, 44: heads, parameters, dropout, gradients of every part."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.models.size import measure
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels import eager, sdpa
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.layer_info import LayerInfo, configure_layer
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.norm.none import NoNorm
from tests.conftest import noise, options, tiny, training_kernels
from tests.contracts.invariants.setting import EXACT, ragged
from tests.helpers.assembly import assemble, built
from tests.helpers.variants import content

D, H, K, T = 16, 4, 4, 5


def heads(n_kv_heads: int) -> Any:
    return MultiHeadAttention(
        D, kernel=eager.Eager(), qk_norm=NoNorm, n_heads=H, n_kv_heads=n_kv_heads
    ).double()


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_invariant_14_shared_heads_are_repeated_heads(n_kv_heads: int) -> None:
    """Heads that share keys equal heads that each have a copy; with one to one it is MHA."""
    shared, whole = heads(n_kv_heads), heads(H)
    whole.load_state_dict(
        {
            name: weight
            if name.startswith(("q.", "out."))
            else weight.unflatten(0, (-1, K)).repeat_interleave(H // n_kv_heads, 0).flatten(0, 1)
            for name, weight in shared.state_dict().items()
        }
    )
    x, context = noise(2, T, D), AttentionContext(is_causal=True)
    wanted = whole(x, context)
    torch.testing.assert_close(shared(x, context), wanted, rtol=0, atol=EXACT)
    shared.kernel = sdpa.SDPA()
    torch.testing.assert_close(shared(x, context), wanted, rtol=0, atol=EXACT)


def by_decay(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, float]:
    """The decay of every parameter by name; fails if one is in two groups."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[str, float] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert name not in found, f"{name} is in two groups"
            found[name] = group["weight_decay"]
    return found


@pytest.mark.parametrize("tied", ["true", "false"])
@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_invariant_15_weight_decay_groups(optimizer: str, tied: str) -> None:
    """Matrices of the layers decay; gains, biases, tables and what is tied to one do not."""
    own = [key for key in content("optimizer", optimizer) if key.endswith("weight_decay")]
    model = tiny(
        f"optimizer={optimizer}",
        *(f"optimizer.{key}=0.25" for key in own),
        "norm=layernorm",
        "position=learned",
        "attention.bias=true",
        f"tie_embeddings={tied}",
    )
    found = by_decay(model.make_optimizer(model), model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    matrices = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not (tied == "true" and isinstance(module, Head))
    }
    assert len(matrices) == 2 * (4 + 3) + (tied == "false")  # two layers, and the free head
    assert {name for name, decay in found.items() if decay} == matrices
    assert set(found.values()) == {0.25, 0.0}


def is_tied(model: Any) -> bool:
    table: Tensor = model.embedding.weight
    return table.data_ptr() == model.task.head.weight.data_ptr()


@pytest.mark.parametrize("kind", options("model"))
def test_invariant_16_tied_embeddings(kind: str) -> None:
    """One tensor in the optimizer and in the count, and still one after all that is done to it."""
    model: Any = tiny(f"model={kind}", "tie_embeddings=true")
    free = tiny(f"model={kind}", "tie_embeddings=false")
    assert is_tied(model)
    assert not is_tied(free)
    table = model.embedding.weight.numel()
    assert measure(free, 16).n_params - measure(model, 16).n_params == table
    in_groups = [p for g in model.make_optimizer(model).param_groups for p in g["params"]]
    assert sum(p is model.embedding.weight for p in in_groups) == 1
    assert sum(p.numel() for p in in_groups) == measure(model, 16).n_params

    buffer = io.BytesIO()
    with torch.no_grad():
        model.embedding.weight[3] += 1.0
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=True)
    assert loaded["embedding.weight"].data_ptr() == loaded["task.head.weight"].data_ptr()
    again: Any = tiny(f"model={kind}", "tie_embeddings=true")
    again.load_state_dict(loaded)
    assert torch.equal(again.task.head.weight, model.embedding.weight)
    for other in (again, copy.deepcopy(model), again.to(torch.bfloat16)):
        assert is_tied(other)
        assert other.embedding.weight is other.task.head.weight


def test_invariant_18_dropout() -> None:
    """None in evaluation, attention's included; in training each of the three is heard."""
    for key in ("model.dropout", "residual.dropout", "attention.dropout"):
        model = tiny(f"{key}=0.5")
        batch = ragged(model.task, 3)
        assert torch.equal(model.features(batch), model.features(batch)), key
        assert torch.equal(model.features(batch), tiny().features(batch)), key
        model.train()
        assert not torch.equal(model.features(batch), model.features(batch)), key


@pytest.mark.parametrize("kernel", training_kernels())
def test_invariant_18_attention_hands_no_dropout_to_its_kernel_in_evaluation(
    kernel: str,
) -> None:
    """The functional form does not know the module's mode."""
    inner, rates = built("kernel", kernel), []

    def watched(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        dropout: float,
        score_mods: ScoreMods | None = None,
    ) -> Tensor:
        rates.append(dropout)
        return inner(q, k, v, context, dropout, score_mods)

    module = MultiHeadAttention(D, kernel=watched, qk_norm=NoNorm, dropout=0.25).double()
    x, context = noise(2, T, D), AttentionContext(is_causal=True)
    module.eval()(x, context)
    module.train()(x, context)
    assert rates == [0.0, 0.25]


V, WIDTH, HIDDEN = 262, 32, {1: 128, 2: 88}  # 2/3 of 128, rounded to a multiple of 8


def expected_parameters(norm: str, qk_norm: str, n_inputs: int, n_kv_heads: int) -> int:
    """Of a decoder of two layers and width 32, tied, from the formulas of its components."""
    of_norm = {"rmsnorm": 1, "layernorm": 2, "none": 0}
    norms = 5 * WIDTH * of_norm[norm] + 2 * 2 * (WIDTH // 4) * of_norm[qk_norm]
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * n_kv_heads * (WIDTH // 4)
    ffn = (n_inputs + 1) * WIDTH * HIDDEN[n_inputs]
    return V * WIDTH + 2 * (attention + ffn) + norms


@pytest.mark.parametrize("n_kv_heads", [4, 2, 1])
@pytest.mark.parametrize(("activation", "n_inputs"), [("gelu", 1), ("swiglu", 2)])
@pytest.mark.parametrize(("norm", "qk_norm"), [("rmsnorm", "rmsnorm"), ("layernorm", "none")])
def test_invariant_38_parameters_and_flops(
    norm: str, qk_norm: str, activation: str, n_inputs: int, n_kv_heads: int
) -> None:
    attention = {4: "mha", 2: "gqa", 1: "mqa"}[n_kv_heads]
    chosen = (f"norm={norm}", f"qk_norm={qk_norm}", f"activation={activation}")
    model = tiny(*chosen, f"attention={attention}", f"attention.n_kv_heads={n_kv_heads}")
    size = measure(model, 16)
    assert size.n_params == expected_parameters(norm, qk_norm, n_inputs, n_kv_heads)
    assert size.n_params == sum(p.numel() for p in set(model.parameters()))
    # 6 FLOPs per weight of a matrix and token; scores and sums over (16 + 1) / 2 keys, 12 D each.
    weights = expected_parameters("none", "none", n_inputs, n_kv_heads)
    assert size.flops_per_token == pytest.approx(6 * weights + 2 * 12 * WIDTH * 8.5, rel=1e-12)


PADS = torch.tensor([[False, False, True]])


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return noise(*shape, seed=seed).requires_grad_()


def right(run: Callable[..., Tensor], *inputs: Tensor) -> bool:
    return torch.autograd.gradcheck(run, inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("group", ["norm", "activation", "residual", "position", "pooling", "ffn"])
def test_invariant_44_numerical_gradient(group: str) -> None:
    """Every custom forward by itself, against finite differences."""
    places = torch.arange(3)
    for option in options(group):
        made = built(group, option)
        if group == "norm":
            assert right(made(4).double(), leaf(2, 4)), option
        elif group == "activation":
            module = made()
            assert right(module, *(leaf(2, 3, seed=i) for i in range(module.n_inputs))), option
        elif group == "residual":
            info = LayerInfo(layer=1, n_layers=2, sublayer="attention")
            module = configure_layer(made(4, norm=built("norm", "layernorm")), info).double().eval()

            def layer(x: Tensor, module: Any = module) -> Any:
                return module.merge_stream(
                    module(module.split_stream(x), torch.tanh), nn.Identity()
                )

            assert right(layer, leaf(1, 2, 4)), option
        elif group == "pooling":
            module = made()
            assert right(lambda x, m=module: m(x, PADS), leaf(1, 3, 2)), option
        elif group == "ffn":
            module = made(8, activation=built("activation", "swiglu"), hidden_mult=1.0).double()
            with torch.no_grad():  # experts have no weights before an init gives them some
                for parameter in module.parameters():
                    parameter.copy_(noise(*parameter.shape))
            assert right(module, leaf(1, 2, 8)), option
        else:
            module = made(d_model=4, n_heads=2, head_dim=4, max_len=3).double()
            assert right(lambda x, m=module: m.embed(x, places), leaf(1, 3, 4)), option
            angles = module.angles(places)
            if angles is not None:
                turned = leaf(1, 2, 3, 4)
                assert right(lambda x, m=module, a=angles: m.rotate(x, a), turned), option
                assert right(lambda x, m=module, a=angles: m.rotate_keys(x, a), turned), option


@pytest.mark.parametrize("kernel", training_kernels())
def test_invariant_44_numerical_gradient_of_attention(kernel: str) -> None:
    q, k, v = leaf(1, 2, 3, 4), leaf(1, 1, 3, 4, seed=1), leaf(1, 1, 3, 4, seed=2)
    seen = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    bias = noise(2, 3, 3).masked_fill(~seen, -torch.inf)
    run = built("kernel", kernel)
    for context in (
        AttentionContext(is_causal=True),
        AttentionContext(seen[None, None]),
        AttentionContext(seen[None, None], bias),
    ):
        assert right(lambda *x, c=context: run(*x, c, 0.0), q, k, v)


@pytest.mark.parametrize("option", options("loss"))
def test_invariant_44_numerical_gradient_of_losses(option: str) -> None:
    labels = torch.tensor([1, -100, 0])
    assert right(lambda x: built("loss", option)(x, labels).objective, leaf(3, 4))


@pytest.mark.parametrize("block", options("block"))
def test_invariant_44_numerical_gradient_of_a_whole_stack(block: str) -> None:
    model: Any = assemble(block=block, position="rope", activation="swiglu", init="normal")
    model.init = Normal(std=0.3)
    assert right(lambda x: model.decoder(x), leaf(1, 3, 16))
