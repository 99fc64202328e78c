"""Source recall: the answer follows from the question."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightning_transformer.data.sources.generated.recall import Recall
from lightning_transformer.data.tokenizers.bytes import Bytes
from tests.unit.data.sources.generated.made import drawn, made


def test_the_answer_is_the_right_one() -> None:
    for question, answer, asked in drawn(Recall):
        value = dict(zip(question[::2], question[1::2], strict=True))
        assert len(value) == len(question) // 2
        assert sorted(answer[::2]) == sorted(value)
        assert [value[key] for key in answer[::2]] == [*answer[1::2]]
        assert asked == "01" * len(value)


def test_lengths_end_with_the_alphabet() -> None:
    with pytest.raises(ValueError, match=r"^data\.test_length or data\.max_length=27 must be "):
        made(Recall, max_length=27)


def test_a_token_of_several_characters_is_refused() -> None:
    class Pairs(Bytes):
        def train(self, texts: Any) -> Any:
            vocabulary = super().train(texts)
            vocabulary.encode = lambda text: np.zeros(len(text) // 2, dtype=np.int32)
            return vocabulary

    source = Recall(tokenizer=Pairs(), n_train=4, n_eval=4)
    with pytest.raises(ValueError, match="use tokenizer=characters"):
        source.prepare()
