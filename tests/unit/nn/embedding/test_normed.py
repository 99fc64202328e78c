"""embedding=normed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BloomConfig, BloomModel

from lightning_transformer.nn.embedding.normed import NormedEmbedding
from lightning_transformer.nn.norm.layernorm import LayerNorm
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.optim.param_groups import param_groups
from tests.conftest import noise, tiny


def test_is_that_of_bloom() -> None:
    bloom: Any = BloomModel(BloomConfig(vocab_size=5, hidden_size=8, n_head=1, n_layer=1)).double()
    table, ids = NormedEmbedding(5, 8, norm=LayerNorm).double(), torch.tensor([[4, 0, 2]])
    for mine, theirs in (
        (table, bloom.word_embeddings),
        (table.norm, bloom.word_embeddings_layernorm),
    ):
        for number, name in enumerate(n for n, _ in theirs.named_parameters()):
            drawn = noise(*getattr(theirs, name).shape, seed=number)
            getattr(mine, name).data = getattr(theirs, name).data = drawn
    wanted = bloom.word_embeddings_layernorm(bloom.word_embeddings(ids))
    torch.testing.assert_close(table(ids), wanted, rtol=0, atol=1e-12)


def test_the_kind_of_norm_is_that_of_the_model_and_its_options_too() -> None:
    model: Any = tiny("embedding=normed", "norm=layernorm", "norm.eps=0.5", "norm.bias=false")
    norm = model.embedding.norm
    assert (type(norm), norm.eps, norm.bias) == (LayerNorm, 0.5, None)
    torch.testing.assert_close(
        model.embedding(torch.tensor([[7]]))[0],
        nn.functional.layer_norm(model.embedding.weight[7:8], (32,), eps=0.5),
    )


def test_a_tied_head_takes_the_table_alone() -> None:
    model: Any = tiny("embedding=normed")
    assert model.task.head.weight is model.embedding.weight
    x = noise(2, 32)
    torch.testing.assert_close(model.task.head(x), x @ model.embedding.weight.T)


def test_neither_table_nor_gain_is_decayed() -> None:
    model = tiny("embedding=normed")
    decayed = {id(p) for g in param_groups(model, 0.1) if g["weight_decay"] for p in g["params"]}
    assert not decayed & {id(p) for p in model.embedding.parameters()}


def test_refuses_a_norm_that_does_nothing() -> None:
    with pytest.raises(ValueError, match=r"^norm=none leaves embedding=normed nothing to do"):
        NormedEmbedding(5, 4, norm=partial(NoNorm))
    with pytest.raises(ValueError, match=r"^norm=none leaves embedding=normed nothing to do"):
        tiny("embedding=normed", "norm=none")
