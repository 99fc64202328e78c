"""What was typed, as Hydra reads it."""

from __future__ import annotations

import shlex

import pytest

from lightning_transformer.config.overrides import parse
from lightning_transformer.errors import ConfigError

VALUES = ("~/book.txt", "bücher.txt", "my book (1).txt", "größe", "a,b(c", "C:\\x y\\(1).txt")


@pytest.mark.parametrize("value", VALUES)
def test_a_value_that_hydra_cannot_read_is_shown_as_it_can(value):
    with pytest.raises(ConfigError, match="cannot read") as caught:
        parse([f"data.path={value}"])
    advice = str(caught.value).partition(": write ")[2]
    (typed,) = shlex.split(advice)  # what a shell hands over
    (override,) = parse([typed])
    assert override.value() == value


@pytest.mark.parametrize("typed", ["a=[1,", "norm", "a={b:", 'a="b'])
def test_what_is_no_plain_text_gets_the_general_rule(typed):
    with pytest.raises(ConfigError, match=r"write key=value, and quote values .* 'a=\[1,2\]'"):
        parse([typed])
