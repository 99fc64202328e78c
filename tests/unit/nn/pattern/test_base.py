"""Patterns in general: the causal one, and two at once."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from lightning_transformer.nn.pattern.base import And, Causal
from lightning_transformer.nn.pattern.block import BlockPattern
from lightning_transformer.nn.pattern.local_global import LocalGlobal
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from lightning_transformer.runs.trusted_targets import check_targets
from tests.conftest import compose_config, tiny
from tests.unit.nn.pattern.drawn import drawn


def test_causal() -> None:
    assert drawn(Causal(), 4) == "x...\nxx..\nxxx.\nxxxx"


def test_and_is_both() -> None:
    assert drawn(SlidingWindow(2) & Causal(), 4) == "x...\nxx..\n.xx.\n..xx"


def test_equal_patterns_are_equal_values() -> None:
    assert SlidingWindow(3) & Causal() == And(SlidingWindow(3), Causal())
    assert hash(SlidingWindow(3) & Causal()) == hash(SlidingWindow(3) & Causal())
    assert SlidingWindow(3) & Causal() != SlidingWindow(4) & Causal()


def test_and_asks_each_for_its_layer() -> None:
    pattern = LocalGlobal(window=2, n_local=1) & BlockPattern(3)
    assert pattern.for_layer(0) == SlidingWindow(2) & BlockPattern(3)
    assert pattern.for_layer(1) == BlockPattern(3)


def test_both_are_chosen_by_name_on_the_command_line() -> None:
    chosen = ("pattern=both", "pattern@pattern.b=dilated", "pattern.b.window=5")
    model: Any = tiny(*chosen)
    assert model.decoder.patterns[0].a.a == SlidingWindow(32)
    assert model.decoder.patterns[0].a.b.window == 5
    # A run folder may name what can be chosen there, and nothing else.
    node = compose_config(*chosen).pattern
    check_targets(OmegaConf.to_container(node), "model.pattern")
    with pytest.raises(ValueError, match=r"^model.pattern.b._target_=os.system is no option of b"):
        check_targets({"b": {"_target_": "os.system"}}, "model.pattern")


def test_a_name_alone_is_no_pattern() -> None:
    with pytest.raises(ValueError, match=r"^pattern.b=dilated: write pattern@pattern.b=dilated$"):
        tiny("pattern=both", "pattern.b=dilated")
