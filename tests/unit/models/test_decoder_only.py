"""model=decoder_only: prompts of different length stand side by side."""

import numpy as np
import torch

from tests.conftest import tiny


def test_prompts_stand_flush_right() -> None:
    model = tiny("model=decoder_only")
    state, ids, padding = model.begin([np.array([1, 2, 3]), np.array([4])])
    pad_id = model.task.vocabulary.pad_id
    assert ids.tolist() == [[1, 2, 3], [pad_id, pad_id, 4]]
    assert padding.tolist() == [[False] * 3, [True, True, False]]
    assert (state.cache.length, state.cache.capacity, state.memory) == (0, 16, None)


def test_equally_long_prompts_have_no_padding() -> None:
    _, _, padding = tiny("model=decoder_only").begin([np.array([1, 2]), np.array([3, 4])])
    assert padding is None


def test_a_cache_can_be_filled_to_the_last_place() -> None:
    model = tiny("model=decoder_only", "position=learned")
    state, ids, padding = model.begin([np.arange(15)])
    model.decode(ids, state, padding)
    last = model.decode(torch.tensor([[7]]), state)
    assert state.cache.length == model.max_len == 16
    assert last.isfinite().all()


def test_it_is_causal_and_slides() -> None:
    model = tiny("model=decoder_only")
    assert (model.causal, model.has_source, model.slides) == (True, False, True)
    assert model.decoder.causal
