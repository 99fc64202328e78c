"""adapter=prompt."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lightning_transformer.nn.adapter.prompt import prompt
from lightning_transformer.tasks.base import Batch
from tests.conftest import tiny

N = 3
IDS = torch.tensor([[5, 9, 200, 31, 7], [64, 2, 2, 90, 11]])


@torch.no_grad()
@pytest.mark.parametrize("position", ["rope", "sinusoidal", "learned"])
def test_it_is_read_as_the_first_tokens_of_the_row(position: str) -> None:
    base: Any = tiny(f"position={position}")
    model: Any = tiny(f"position={position}")
    (vectors,) = prompt(model, seed=1, n_tokens=N).trained or ()
    x = torch.cat((vectors.expand(2, -1, -1), base.embedding(IDS)), dim=1)
    expected = base.decoder(x)[:, N:]
    found = model.features(Batch.without_labels(IDS))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert float((found - base.features(Batch.without_labels(IDS))).abs().max()) > 1e-3


def test_its_size_is_as_stated_and_it_starts_with_tokens() -> None:
    model: Any = tiny("model=encoder_decoder")
    trained = prompt(model, seed=1, n_tokens=N).trained
    assert trained is not None
    assert [tuple(p.shape) for p in trained] == [(N, 32), (N, 32)]  # of each stack
    rows = {tuple(row.tolist()) for row in model.embedding.weight}
    drawn = [tuple(row.tolist()) for p in trained for row in p]
    assert set(drawn) <= rows
    assert len(set(drawn)) > N


def test_learned_positions_are_taken_from_the_rows() -> None:
    model: Any = tiny("position=learned")
    whole = model.max_len
    prompt(model, seed=1, n_tokens=N)
    assert model.max_len == whole - N
    ids = torch.zeros(1, whole - N, dtype=torch.long)
    assert model.features(Batch.without_labels(ids)).isfinite().all()
    with pytest.raises(ValueError, match=r"^n_tokens=\d+ of adapter=prompt takes all \d+ learned"):
        prompt(tiny("position=learned"), seed=1, n_tokens=whole)


def test_refuses_what_cannot_work() -> None:
    with pytest.raises(ValueError, match=r"^n_tokens=0 must be at least 1"):
        prompt(tiny(), seed=1, n_tokens=0)
    with pytest.raises(ValueError, match="stands where the memory tokens of this model do"):
        prompt(tiny("memory_tokens=learned"), seed=1)
