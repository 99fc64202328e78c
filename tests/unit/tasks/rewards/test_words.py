"""reward=words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lightning_transformer.tasks.rewards.words import ListedWords
from tests.unit.tasks.rewards.answers import rewards_of


def small_options(folder: Path) -> dict[str, Any]:
    """What tests/helpers/variants.py builds this reward with."""
    return {"words": "[good,great]"}


def test_the_share_of_words_on_the_list() -> None:
    texts = ["Good, good; bad", "goodness", "GREAT!", "", "..."]
    found = rewards_of(ListedWords(words=["good", "Great"]), texts)
    assert found == pytest.approx([2 / 3, 0.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("words", [[], "good", ["very good"]])
def test_a_list_of_single_words(words: Any) -> None:
    with pytest.raises(ValueError, match=r"words=.* must be a list of single words, for example"):
        ListedWords(words=words)
