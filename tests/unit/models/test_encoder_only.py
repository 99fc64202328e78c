"""model=encoder_only."""

import torch

from tests.conftest import tiny
from tests.unit.tasks.drawn import drawn_batch


def test_it_sees_both_sides() -> None:
    model = tiny("model=encoder_only")
    assert (model.causal, model.has_source, model.slides) == (False, False, False)
    batch = drawn_batch(model.task)
    ids = batch.input_ids.clone()
    ids[:, -1] = (ids[:, -1] + 1) % 256
    other = model.features(batch._replace(input_ids=ids))
    assert (other[:, 0] != model.features(batch)[:, 0]).any()


def test_padding_and_documents_reach_the_stack() -> None:
    model = tiny("model=encoder_only")
    batch = drawn_batch(model.task)
    padding = torch.zeros_like(batch.input_ids, dtype=torch.bool)
    padding[:, 5:] = True
    plain = model.features(batch)[:, :5]
    assert not torch.allclose(model.features(batch._replace(padding=padding))[:, :5], plain)
    documents = (torch.arange(15) >= 5).long().expand(4, 15)
    split = model.features(batch._replace(documents=documents))[:, :5]
    padded = model.features(batch._replace(padding=padding))[:, :5]
    torch.testing.assert_close(split, padded, rtol=0, atol=1e-10)
