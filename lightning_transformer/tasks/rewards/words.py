"""reward=words: words of a list."""

import re
from collections.abc import Sequence

import torch

from lightning_transformer.tasks.rewards.base import Answer, RewardFunction

WORD = re.compile(r"\w+")


class ListedWords(RewardFunction):
    r"""The share of a text's words that are on a list, in [0, 1]; 0 of a text without words.

    A word is a longest row of letters, digits and underscores; case does not count.

    words: the list, one word or more. Raises ValueError for anything else.
    """

    def __init__(self, *, words: Sequence[str]) -> None:
        given = [str(word) for word in words] if isinstance(words, list | tuple) else []
        wrong = next((word for word in given if not WORD.fullmatch(word)), None)
        if not given or wrong is not None:
            raise ValueError(
                f"words={words if wrong is None else repr(wrong)} must be a list of single words, "
                "for example [good,great]"
            )
        self.words = frozenset(word.lower() for word in given)

    def __call__(self, answers: Sequence[Answer], device: torch.device) -> list[float]:
        return [self._share(answer.text) for answer in answers]

    def _share(self, text: str) -> float:
        found = [word.lower() for word in WORD.findall(text)]
        return sum(word in self.words for word in found) / len(found) if found else 0.0
