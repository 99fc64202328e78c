"""freeze=embeddings."""

import pytest
from torch import nn

from lightning_transformer.optim.freeze.embeddings import embeddings
from tests.conftest import tiny
from tests.unit.optim.freeze.test_by_name import frozen


def test_tables_and_a_tied_head_are_frozen() -> None:
    model = tiny("position=learned", "tie_embeddings=true")
    embeddings(model)
    assert frozen(model) == ["embedding.weight", "decoder.position.table.weight"]
    assert not model.task.head.weight.requires_grad


def test_a_model_of_tables_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^freeze=embeddings leaves nothing to train"):
        embeddings(nn.ModuleDict({"a": nn.Embedding(2, 3)}))
