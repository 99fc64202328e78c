"""adapter=rslora."""

import pytest

from lightning_transformer.nn.adapter.lora import LowRank
from lightning_transformer.nn.adapter.rslora import rslora
from tests.conftest import tiny


def test_the_update_is_scaled_by_the_root_of_the_rank() -> None:
    model = tiny()
    rslora(model, seed=1, rank=4, alpha=3.0)
    assert {m.scale for m in model.modules() if isinstance(m, LowRank)} == {1.5}


def test_refuses_no_rank() -> None:
    with pytest.raises(ValueError, match=r"^rank=0 must be at least 1"):
        rslora(tiny(), seed=1, rank=0)
