"""The table of names, read in both directions."""

import pytest
import torch

from lightning_transformer.convert.names import NOT_USED, not_used, renamed

RULES = (
    ("a.{i}.{q}_proj.{p}", "blocks.{i}.{q}.{p}"),
    ("tied", "head"),
    ("tied_too", "head"),
    ("pool.{p}", NOT_USED),
)


def test_both_directions() -> None:
    weights = {"a.3.k_proj.bias": torch.tensor(1.0), "tied": torch.tensor(2.0)}
    ours = renamed(weights, RULES)
    assert ours == {"blocks.3.k.bias": torch.tensor(1.0), "head": torch.tensor(2.0)}
    assert renamed(ours, RULES, back=True) == weights


def test_one_weight_under_two_names_is_taken_once_and_others_are_left_out() -> None:
    given = {"tied": torch.tensor(1.0), "tied_too": torch.tensor(2.0), "pool.bias": torch.ones(())}
    assert renamed(given, RULES) == {"head": torch.tensor(1.0)}
    assert not_used([*given, "unknown"], RULES) == ["pool.bias"]


@pytest.mark.parametrize(("name", "back"), [("a.x.q_proj.bias", False), ("blocks.1.o.bias", True)])
def test_a_name_without_a_rule_is_refused(name: str, back: bool) -> None:
    with pytest.raises(ValueError, match=rf"weight {name} has no counterpart"):
        renamed({name: torch.ones(())}, RULES, back=back)
