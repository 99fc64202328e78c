"""A generated source over bytes, small, and its questions with their answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning_transformer.data.sources.generated.base import Drawn, Generated
from lightning_transformer.data.tokenizers.bytes import Bytes


def made(kind: type[Generated], **options: Any) -> Generated:
    return kind(tokenizer=Bytes(), **{"n_train": 60, "n_eval": 30, **options})


def drawn(kind: type[Generated], **options: Any) -> Iterator[Drawn]:
    """Samples of all splits, and of a later pass of training."""
    source = made(kind, **options)
    for split, epoch in (("train", 0), ("train", 3), ("val", 0), ("test", 0)):
        for index in range(30):
            yield source.sample(split, epoch, index)
