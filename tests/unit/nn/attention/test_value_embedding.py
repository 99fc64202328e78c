"""attention=value_embedding."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lightning_transformer as lt
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.nn.attention.value_embedding import ValueEmbedding
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.testing.checks import check_attention
from tests.conftest import noise, tiny
from tests.unit.nn.attention.references import D, T, shaken, turning

H, G, K, V = 4, 2, 6, 11
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])


def layer(number: int = 1, **options: Any) -> Any:
    made = ValueEmbedding(D, kernel=Eager(), qk_norm=NoNorm, n_kv_heads=G, **options)
    made.configure_layer(LayerInfo(layer=number, n_layers=4, vocab_size=V))
    return shaken(made)


def split(x: Tensor, weight: Tensor) -> Tensor:
    return (x @ weight.T).unflatten(-1, (-1, K)).transpose(1, 2)


@torch.no_grad()
def test_values_hold_the_vector_of_the_token() -> None:
    """Of a one-hot token times a matrix, and queries and keys hold nothing of it."""
    made, x, rotate = layer(), noise(2, T, D), turning(K).rotate
    q, k = rotate(split(x, made.q.weight)), rotate(split(x, made.k.weight))
    one_hot = torch.eye(V, dtype=torch.float64)[IDS]
    own, of_token = split(x, made.v.weight), split(one_hot, made.table.weight.T)
    v = made.mix[0] * own + made.mix[1] * of_token
    k, v = k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)
    scores = (q @ k.mT / K**0.5).masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
    wanted = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ made.out.weight.T
    y = made(x, AttentionContext(is_causal=True, rotate=rotate, ids=IDS))
    torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("every", "with_table"), [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [0, 3]), (9, [3])]
)
def test_layers_with_a_table_are_counted_from_the_last(every: int, with_table: list[int]) -> None:
    model: Any = tiny("attention=value_embedding", f"attention.every={every}", "model.n_layers=4")
    blocks = model.decoder.blocks
    assert [i for i, b in enumerate(blocks) if b.attention.table is not None] == with_table
    for i in with_table:
        assert blocks[i].attention.table.weight.shape == (model.embedding.num_embeddings, 32)
        assert blocks[i].attention.mix.tolist() == [0.5, 0.5]


def test_both_stacks_of_an_encoder_decoder_read_their_own_tokens() -> None:
    model: Any = tiny("model=encoder_decoder", "attention=value_embedding")
    names = [name for name, _ in model.named_parameters() if name.endswith("table.weight")]
    assert names == [
        *(f"encoder.blocks.{i}.attention.table.weight" for i in (0, 1)),
        *(f"decoder.blocks.{i}.attention.table.weight" for i in (0, 1)),
    ]
    state, start, _ = model.begin([np.array([70, 71, 72])])
    model.decode(start, state).sum().backward()
    eos, bos = model.task.vocabulary.eos_id, model.task.vocabulary.bos_id
    for stack, read in ((model.encoder, {70, 71, 72}), (model.decoder, {bos})):
        touched = stack.blocks[0].attention.table.weight.grad.any(dim=1).nonzero().flatten()
        assert set(touched.tolist()) - {eos} == read


def test_tokens_of_a_row_count_and_not_only_their_vectors() -> None:
    model: Any = tiny("attention=value_embedding")
    x, ids = noise(1, 5, 32), torch.tensor([[7, 8, 9, 10, 11]])
    other = torch.tensor([[7, 8, 50, 10, 11]])
    one, two = model.decoder(x, ids=ids), model.decoder(x, ids=other)
    assert torch.equal(one[:, :2], two[:, :2])
    assert (one[:, 2:] != two[:, 2:]).any(dim=-1).all()


def gradients(model: Any, x: Tensor, ids: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (model.decoder(x, ids=ids) * noise(*x.shape, seed=4)).sum().backward()
    return {name: p.grad.clone() for name, p in model.decoder.named_parameters()}


def test_blocks_that_are_computed_again_or_compiled_give_the_same_gradients() -> None:
    torch.compiler.reset()
    x, ids = noise(2, 6, 32), torch.arange(12).view(2, 6)
    wanted = gradients(tiny("attention=value_embedding"), x, ids)
    again: Any = tiny("attention=value_embedding")
    again.decoder.checkpoint_blocks()
    compiled: Any = tiny("attention=value_embedding")
    compiled.decoder.compile_blocks("aot_eager")
    for model in (again, compiled):
        for name, gradient in gradients(model, x, ids).items():
            torch.testing.assert_close(gradient, wanted[name], rtol=0, atol=1e-12, msg=name)


def test_a_stack_without_tokens_is_refused() -> None:
    line = "attention=value_embedding looks up the ids of tokens, and this stack is given vectors"
    with pytest.raises(ConfigError, match=f"^{line} alone; use attention=value_residual$"):
        lt.Stack(d_model=32, n_layers=2, overrides=["attention=value_embedding"])
    lt.Stack(d_model=32, n_layers=2, overrides=["attention=value_residual"])
    with pytest.raises(ValueError, match=r"^attention=value_embedding needs the ids of the tokens"):
        layer()(noise(1, T, D), AttentionContext(is_causal=True))


def test_layers_that_share_a_block_may_not_differ() -> None:
    model: Any = tiny("attention=value_embedding", "layer_sharing=looped")
    assert model.decoder.blocks[0].attention.table is not None
    line = "attention.every=2 differs between layers, and one block computes several"
    with pytest.raises(ValueError, match=f"^{line}; use layer_sharing=none$"):
        tiny("attention=value_embedding", "attention.every=2", "layer_sharing=looped")


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^every=0 must be at least 1, for example 1$"):
        layer(every=0)


def test_contract_with_other_options() -> None:
    check_attention(
        partial(ValueEmbedding, kernel=SDPA(), qk_norm=RMSNorm, n_kv_heads=2, head_dim=3, bias=True)
    )
