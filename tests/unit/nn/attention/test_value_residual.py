"""attention=value_residual."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.value_residual import ValueResidual
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise, tiny
from tests.unit.nn.attention.references import D, T, shaken, turning

H, G, K = 4, 2, 6


def layer(number: int, **options: Any) -> Any:
    made = ValueResidual(D, kernel=Eager(), qk_norm=NoNorm, n_kv_heads=G, **options)
    made.configure_layer(LayerInfo(layer=number, n_layers=3))
    return shaken(made)


def split(x: Tensor, weight: Tensor) -> Tensor:
    return (x @ weight.T).unflatten(-1, (-1, K)).transpose(1, 2)


@torch.no_grad()
def test_later_layers_mix_in_the_values_of_the_first() -> None:
    """The third layer too: of the first, not of the one below."""
    first, second, third = (layer(number) for number in range(3))
    a, b, c = (noise(2, T, D, seed=seed) for seed in range(3))
    context = turning(K)
    first(a, context)
    second(b, context)
    y = third(c, context)
    q = context.rotate(split(c, third.q.weight))
    k = context.rotate(split(c, third.k.weight)).repeat_interleave(2, dim=1)
    v = third.mix[0] * split(c, third.v.weight) + third.mix[1] * split(a, first.v.weight)
    scores = (q @ k.mT / K**0.5).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
    heads = scores.softmax(-1) @ v.repeat_interleave(2, dim=1)
    wanted = heads.transpose(1, 2).flatten(2) @ third.out.weight.T
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


def test_the_first_layer_is_plain_and_others_start_at_a_half() -> None:
    model: Any = tiny("attention=value_residual", "model.n_layers=3")
    mixes = {n: p.tolist() for n, p in model.named_parameters() if n.endswith("mix")}
    assert mixes == {
        "decoder.blocks.1.attention.mix": [0.5, 0.5],
        "decoder.blocks.2.attention.mix": [0.5, 0.5],
    }


def test_cross_attention_mixes_in_what_the_first_made_of_the_source() -> None:
    model: Any = tiny("model=encoder_decoder", "attention=value_residual")
    names = [n for n, _ in model.named_parameters() if n.endswith("mix")]
    assert names == [
        "encoder.blocks.1.attention.mix",
        "decoder.blocks.1.attention.mix",
        "decoder.blocks.1.cross.mix",
    ]


def gradients(model: Any, x: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (model.decoder(x) * noise(*x.shape, seed=4)).sum().backward()
    return {name: p.grad.clone() for name, p in model.decoder.named_parameters()}


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_gradients_are_the_same_where_blocks_are_computed_again(kernel: str) -> None:
    model: Any = tiny(
        "attention=value_residual",
        "attention.n_kv_heads=2",
        f"kernel={kernel}",
        "model.n_layers=3",
        "model.dropout=0.2",
    ).train()
    x = noise(2, 16, 32)
    torch.manual_seed(0)
    wanted = gradients(model, x)
    assert all(bool(gradient.any()) for gradient in wanted.values())
    model.decoder.checkpoint_blocks()
    torch.manual_seed(0)
    found = gradients(model, x)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12, msg=name)


def test_compiled_block_by_block_it_is_the_same() -> None:
    torch.compiler.reset()
    model: Any = tiny("attention=value_residual", "model.n_layers=3")
    x = noise(2, 16, 32)
    wanted, expected = model.decoder(x), gradients(model, x)
    model.decoder.compile_blocks("aot_eager")
    torch.testing.assert_close(model.decoder(x), wanted, rtol=0, atol=1e-12)
    for name, gradient in gradients(model, x).items():
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=1e-12, msg=name)


def test_a_first_layer_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="the values of the first layer, which must have this"):
        layer(1)(noise(1, T, D), AttentionContext(is_causal=True))


def test_layers_that_share_a_block_are_refused() -> None:
    line = (
        "attention=value_residual differs between layers, and one block computes several; "
        "use layer_sharing=none"
    )
    with pytest.raises(ValueError, match=f"^{line}$"):
        tiny("attention=value_residual", "layer_sharing=looped")


def test_contract_with_other_options() -> None:
    check_attention(
        partial(ValueResidual, kernel=SDPA(), qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, bias=True)
    )
