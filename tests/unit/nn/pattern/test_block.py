"""pattern=block."""

import pytest

from lightning_transformer.nn.pattern.base import Causal
from lightning_transformer.nn.pattern.block import BlockPattern
from tests.unit.nn.pattern.drawn import drawn


def test_keys_of_the_same_block() -> None:
    assert drawn(BlockPattern(2), 5) == "xx...\nxx...\n..xx.\n..xx.\n....x"


def test_causal() -> None:
    assert drawn(BlockPattern(3) & Causal(), 5) == "x....\nxx...\nxxx..\n...x.\n...xx"


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^block_len=0 must be at least 1, for example 1$"):
        BlockPattern(0)
