"""model=encoder_decoder."""

import numpy as np
import torch

from tests.conftest import tiny
from tests.tasks.drawn import drawn_batch


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
