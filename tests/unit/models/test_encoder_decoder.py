"""model=encoder_decoder."""

import numpy as np
import pytest
import torch

from lightning_transformer.models.size import measure
from lightning_transformer.optim.param_groups import matrices, param_groups
from tests.conftest import compose_config, tiny
from tests.unit.tasks.drawn import drawn_batch


def test_it_reads_sources_and_begins_with_bos() -> None:
    model = tiny("model=encoder_decoder")
    words = model.task.vocabulary
    state, ids, padding = model.begin([np.array([1, 2, 3]), np.array([4])])
    assert ids.tolist() == [[words.bos_id], [words.bos_id]]
    assert padding is None
    assert state.memory.shape == (2, 3, 32)
    assert state.memory_padding.tolist() == [[False] * 3, [False, True, True]]
    assert state.cache.layers[0].source.capacity == 3


def test_the_number_of_layers_of_each_side() -> None:
    model = tiny("model=encoder_decoder", "model.n_encoder_layers=1", "model.n_decoder_layers=3")
    assert (len(model.encoder.blocks), len(model.decoder.blocks)) == (1, 3)
    assert (model.encoder.causal, model.decoder.causal) == (False, True)
    assert not hasattr(model.encoder.blocks[0], "cross")


def test_source_and_target_share_one_table() -> None:
    model = tiny("model=encoder_decoder")
    batch = drawn_batch(model.task)
    (model.features(batch) * torch.arange(32)).sum().backward()
    table = model.embedding.weight
    assert table.grad[batch.source_ids].any(-1).all()
    assert table.grad[batch.input_ids].any(-1).all()


def test_the_decoder_does_not_see_its_future() -> None:
    model = tiny("model=encoder_decoder")
    batch = drawn_batch(model.task)
    ids = batch.input_ids.clone()
    ids[:, 6] = (ids[:, 6] + 1) % 256
    other, plain = model.features(batch._replace(input_ids=ids)), model.features(batch)
    assert torch.equal(other[:, :6], plain[:, :6])
    assert (other[:, 6] != plain[:, 6]).any()


def test_it_has_a_source_and_room_for_its_ends() -> None:
    model = tiny("model=encoder_decoder", "position=learned")
    assert (model.causal, model.has_source, model.slides) == (True, True, False)
    assert model.max_len == 17


APART = ("model=encoder_decoder", "model.share_embeddings=false")


def test_the_source_may_have_a_table_of_its_own() -> None:
    model, shared = tiny(*APART), tiny("model=encoder_decoder")
    batch = drawn_batch(model.task)
    (model.features(batch) * torch.arange(32)).sum().backward()
    source, target = model.source_embedding.weight, model.embedding.weight
    for table, ids in ((source, batch.source_ids), (target, batch.input_ids)):
        read = table.grad.any(-1).nonzero().flatten()
        assert torch.equal(read, ids.unique())
    # Another draw for the new table, the old one for all the rest.
    weights = model.state_dict()
    assert not torch.equal(weights.pop("source_embedding.weight"), target)
    assert list(weights) == list(shared.state_dict())
    assert all(torch.equal(weights[name], w) for name, w in shared.state_dict().items())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_four_ways_of_tying(share: bool, tied: bool) -> None:
    model = tiny(
        "model=encoder_decoder", f"model.share_embeddings={share}", f"tie_embeddings={tied}"
    )
    tables = [model.embedding.weight, model.task.head.weight]
    tables += [] if share else [model.source_embedding.weight]
    assert len({id(table) for table in tables}) == 1 + (not share) + (not tied)
    size, whole = measure(model, 16), 262 * 32
    assert size.n_params - size.n_params_non_embedding == (2 - share) * whole
    groups = param_groups(model, 0.1)
    decayed = {id(p) for g in groups if g["name"] == "decay" for p in g["params"]}
    assert sum(id(table) in decayed for table in tables) == (not tied)
    hidden = {id(p) for p in matrices(model)}
    assert not hidden & {id(table) for table in tables}


def test_a_source_with_its_own_table_is_read_from_it_while_generating() -> None:
    model = tiny(*APART)
    with torch.no_grad():
        state, _, _ = model.begin([np.array([5, 6, 7])])
        model.embedding.weight.zero_()
        again, _, _ = model.begin([np.array([5, 6, 7])])
        model.source_embedding.weight.zero_()
        other, _, _ = model.begin([np.array([5, 6, 7])])
    assert torch.equal(again.memory, state.memory)
    assert not torch.equal(other.memory, state.memory)


@pytest.mark.parametrize("kind", ["decoder_only", "encoder_only"])
def test_models_without_a_source_have_no_such_key(kind: str) -> None:
    assert "share_embeddings" not in compose_config(f"model={kind}").model
