"""embedding=factorised."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import AlbertConfig, AlbertModel

from lightning_transformer.models.size import measure
from lightning_transformer.nn.embedding.factorised import FactorisedEmbedding
from lightning_transformer.optim.param_groups import matrices, param_groups
from tests.conftest import noise, tiny
from tests.unit.tasks.drawn import drawn_batch

V, D, R = 262, 32, 8
FACTORISED = ("embedding=factorised", f"embedding.rank={R}")


def drawn() -> FactorisedEmbedding:
    table = FactorisedEmbedding(5, 6, rank=3).double()
    with torch.no_grad():
        table.weight.copy_(noise(5, 3))
        table.up.weight.copy_(noise(6, 3, seed=1))
    return table


def test_gives_rows_of_the_product() -> None:
    table, ids = drawn(), torch.tensor([[4, 0], [2, 4]])
    whole = table.weight @ table.up.weight.T
    torch.testing.assert_close(table(ids), whole[ids], rtol=0, atol=1e-12)


def test_is_that_of_albert() -> None:
    sizes = {"embedding_size": 3, "hidden_size": 6, "num_attention_heads": 1, "vocab_size": 5}
    albert: Any = AlbertModel(AlbertConfig(**sizes, intermediate_size=6)).double().eval()
    table, ids = drawn(), torch.tensor([[4, 0, 2]])
    with torch.no_grad():
        albert.embeddings.word_embeddings.weight.copy_(table.weight)
        albert.encoder.embedding_hidden_mapping_in.weight.copy_(table.up.weight)
        albert.encoder.embedding_hidden_mapping_in.bias.zero_()
        words = albert.embeddings.word_embeddings(ids)
        wanted = albert.encoder.embedding_hidden_mapping_in(words)
        torch.testing.assert_close(table(ids), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_a_tied_head_goes_back_through_both(softcap: float | None) -> None:
    table, x = drawn(), 3 * noise(4, 6, seed=2)
    head = table.tied_head(bias=True, softcap=softcap).double()
    torch.nn.init.constant_(head.bias, 0.5)
    wanted = x @ (table.weight @ table.up.weight.T).T + 0.5
    wanted = wanted if softcap is None else softcap * torch.tanh(wanted / softcap)
    torch.testing.assert_close(head(x), wanted, rtol=0, atol=1e-12)


def test_in_a_model_both_factors_are_shared_and_drawn_once() -> None:
    model: Any = tiny(*FACTORISED)
    head, table = model.task.head, model.embedding
    assert head.weight is table.weight
    assert head.up is table.up
    names = [name for name, _ in model.named_parameters() if "embedding" in name or "head" in name]
    assert names == ["embedding.weight", "embedding.up.weight"]
    untied: Any = tiny(*FACTORISED, "tie_embeddings=false")
    assert untied.task.head.weight.shape == (V, D)
    assert torch.equal(untied.embedding.weight, table.weight)
    assert torch.equal(untied.embedding.up.weight, table.up.weight)
    assert table.weight.std().item() == pytest.approx(0.02, rel=0.1)
    again: Any = tiny(*FACTORISED, dtype=torch.float32)
    again.load_state_dict(model.state_dict())
    assert again.task.head.weight is again.embedding.weight
    both = copy.deepcopy(model)
    assert both.task.head.up is both.embedding.up


def test_loss_has_the_gradient_of_the_product() -> None:
    model: Any = tiny(*FACTORISED, "init=normal", "init.std=0.3")
    batch = drawn_batch(model.task)
    model.task(model(batch), batch).objective.backward()
    # The same model with the product as one plain table.
    plain: Any = tiny("init=normal", "init.std=0.3")
    product = (model.embedding.weight @ model.embedding.up.weight.T).detach()
    weights = {k: v for k, v in model.state_dict().items() if "embedding" not in k}
    weights = {k: v for k, v in weights.items() if "head" not in k}
    plain.load_state_dict({**plain.state_dict(), **weights})
    with torch.no_grad():
        plain.embedding.weight.copy_(product)
    plain.task(plain(batch), batch).objective.backward()
    gradient = plain.embedding.weight.grad
    up, table = model.embedding.up.weight, model.embedding.weight
    torch.testing.assert_close(table.grad, gradient @ up, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(up.grad, gradient.T @ table, rtol=1e-9, atol=1e-11)


def test_optimizers_take_the_table_as_one_and_the_linear_layer_as_a_matrix() -> None:
    model: Any = tiny(*FACTORISED)
    groups = param_groups(model, 0.1)
    decayed = {id(p) for g in groups if g["name"] == "decay" for p in g["params"]}
    orthogonalised = {id(p) for p in matrices(model)}
    table, up = id(model.embedding.weight), id(model.embedding.up.weight)
    assert table not in decayed | orthogonalised
    assert up in decayed & orthogonalised


def test_sizes() -> None:
    plain, model = measure(tiny(), 16), measure(tiny(*FACTORISED), 16)
    assert plain.n_params - model.n_params == V * D - R * (V + D)
    assert model.n_params_non_embedding - plain.n_params_non_embedding == R * D
    # Forward: the head through both factors, and the linear layer of the embedding.
    forward = 2 * (V * D - R * (V + D) - R * D)
    assert plain.flops_per_token - model.flops_per_token == pytest.approx(3 * forward, rel=1e-9)


def test_refuses_rank() -> None:
    with pytest.raises(ValueError, match=r"^rank=0 must be at least 1, for example 1$"):
        FactorisedEmbedding(5, 4, rank=0)
