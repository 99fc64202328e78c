"""What ladder=, tokens_per_param= and tasks= ask for, and what of it is refused."""

from __future__ import annotations

import pytest

from lightning_transformer.compare.several.asked import asks_for_several, read_several_request
from lightning_transformer.errors import ConfigError

NORMS = "norm=layernorm,rmsnorm"


@pytest.mark.parametrize(
    ("typed", "several"),
    [
        ((NORMS,), False),
        ((NORMS, "ladder=3"), True),
        ((NORMS, "tasks=pydocs,order"), True),
        (("data=pydocs,order",), False),  # data sets alone are the variants
        (("data=pydocs,order", NORMS), True),
        (("data=pydocs,order", "seeds=1,2"), False),
        (("data=pydocs,order", "norm=[layernorm,rmsnorm]"), False),
    ],
)
def test_what_asks_for_several_comparisons(typed, several):
    assert asks_for_several(typed) == several


def test_a_ladder_has_defaults_and_a_name_of_its_own():
    found = read_several_request([NORMS, "ladder=3", "seeds=2"])
    assert (found.kind, found.rungs, found.tokens_per_param) == ("ladder", 3, 20.0)
    assert found.request.seeds == (1, 2)
    assert found.name.startswith("norm-ladder-")
    other = read_several_request([NORMS, "ladder=3", "seeds=2", "tokens_per_param=10"])
    assert other.name != found.name
    assert read_several_request([NORMS, "ladder=3", "name=mine"]).name == "mine"


def test_a_bare_word_is_a_data_set_and_plus_joins_overrides():
    found = read_several_request([NORMS, "tasks=pydocs,model=encoder_decoder+data=restore"])
    assert found.tasks == (("data=pydocs",), ("model=encoder_decoder", "data=restore"))
    assert found.request.swept == {"norm": ("layernorm", "rmsnorm")}


def test_several_data_sets_with_another_compared_key_are_tasks():
    found = read_several_request([NORMS, "data=pydocs,order"])
    assert (found.kind, found.tasks) == ("tasks", (("data=pydocs",), ("data=order",)))
    assert found.request.swept == {"norm": ("layernorm", "rmsnorm")}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("ladder=2",), "ladder=2 must be a number of sizes from 3 to 8, such as ladder=3"),
        (("ladder=x",), "ladder=x must be a number of sizes from 3 to 8, such as ladder=3"),
        (("ladder=3", "tokens_per_param=0"),
         "tokens_per_param=0 must be a number above 0, such as 20"),
        (("ladder=3", "ladder=4"), "ladder is given twice: ladder=3 and ladder=4"),
        (("tokens_per_param=5",),
         "tokens_per_param= is of a ladder; write ladder=3 too, or leave it out"),
        (("ladder=3", "trainer.max_steps=5"),
         "trainer.max_steps has no effect with ladder=: tokens_per_param= sets the steps of each "
         "rung; leave trainer.max_steps out"),
        (("ladder=3", "model.d_model=32,64"),
         "model.d_model is compared and would be set by ladder=; leave one out"),
        (("ladder=3", "seeds=3..9"),
         "seeds=A..B adds seeds to some variants, and sizes and tasks need the same ones of all; "
         "write seeds=5"),
        (("ladder=3", "halving=3"),
         "halving= stops variants, which then have no effect in that part; leave it out"),
        (("ladder=3", "tasks=pydocs,order"),
         "ladder= and several tasks are two questions; ask one at a time"),
        (("tasks=pydocs",),
         "tasks=pydocs must name two tasks at least, data sets or overrides joined by +, such as "
         "tasks=pydocs,model=encoder_decoder+data=restore"),
        (("tasks=pydocs,pydocs",),
         "tasks=pydocs,pydocs: a task is given twice; name each once"),
        (("tasks=pydocs,norm=none",), "norm is compared and set by tasks=; leave one out"),
        (("tasks=pydocs,order", "data=text"),
         "data is given twice, also in tasks=; leave one out"),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(typed, message):
    with pytest.raises(ConfigError) as raised:
        read_several_request([NORMS, *typed])
    assert str(raised.value) == message
