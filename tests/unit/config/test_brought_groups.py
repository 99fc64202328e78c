"""Which options bring a group, so that a message can say where it has an effect."""

from __future__ import annotations

from lightning_transformer.config.brought_groups import belongs_to, bringing
from tests.conftest import compose_config


def test_what_one_option_brings_is_named_with_the_model_that_has_it() -> None:
    assert bringing("masking") == ["task=masked_lm"]
    assert belongs_to("masking") == "it belongs to task=masked_lm, as model=encoder_only has it"
    # What the message names is accepted when it is typed.
    cfg = compose_config("model=encoder_only", "masking=span")
    assert cfg.task.masking._target_.endswith("SpanMasking")


def test_of_several_the_first_are_named() -> None:
    assert {"data=text", "data=mixture"} < set(bringing("packing"))
    assert belongs_to("packing").endswith(", ..")


def test_what_none_brings_is_not_explained() -> None:
    assert belongs_to("no_such_group") == ""
