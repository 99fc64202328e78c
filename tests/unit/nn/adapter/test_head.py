"""adapter=head."""

import pytest

from lightning_transformer.nn.adapter.base import train_only
from lightning_transformer.nn.adapter.head import head
from tests.conftest import tiny


def test_what_is_new_is_trained() -> None:
    model = tiny("tie_embeddings=false")
    train_only(model, head(model, seed=1).trained or (), new=["task.head.weight"])
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["task.head.weight"]


def test_a_shared_weight_is_new_if_all_its_names_are() -> None:
    model = tiny("tie_embeddings=true")
    with pytest.raises(ValueError, match=r"^adapter=head leaves nothing to train: .* fresh="):
        train_only(model, head(model, seed=1).trained or (), new=["task.head.weight"])
    train_only(
        model, head(model, seed=1).trained or (), new=["task.head.weight", "embedding.weight"]
    )
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["embedding.weight"]
