"""Tagging the words of texts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from lightning_transformer.generate import prompt
from lightning_transformer.generate.arguments import WRITING, GenerateRequest
from lightning_transformer.generate.output import Output
from lightning_transformer.tasks.base import IGNORE, Batch

# Letters, digits and underscores; other signs only where they stand alone, as in tokenised text.
WORD = re.compile(r"\w+|(?<!\S)[^\w\s]+(?!\S)")


@torch.no_grad()
def answer(model: Any, request: GenerateRequest, output: Output) -> None:
    """Per text a line for each word: the word, a tab, its tag; then an empty line."""
    request.refuse("a tagging run names tags", *WRITING)
    request.refuse("texts are tagged one by one", "--batch-size")
    task = model.task
    for number, text in enumerate(request.lines(), start=1):
        name = f"text {number}"
        ids = prompt.encode(task.vocabulary, text, name, output)
        _, starts = task.vocabulary.encode_with_starts(text)
        ids = prompt.cut(ids, model.max_len, name, output)
        tags: list[int] = []
        if len(ids):
            row = torch.from_numpy(ids)[None].to(model.device)
            batch = Batch(row, torch.full_like(row, IGNORE), row.new_zeros(()), row.numel())
            tags = task.head(model.features(batch))[0].argmax(dim=-1).tolist()
        for word in WORD.finditer(text):
            at = _token(starts, word.start())
            if at < len(tags):
                output.write(f"{word[0]}\t{task.labels[tags[at]]}\n")
        output.write("\n")


def _token(starts: np.ndarray, character: int) -> int:
    """The first token that holds a character: one that starts there, else the one before."""
    at = int(np.searchsorted(starts, character, side="left"))
    return at if at < len(starts) and starts[at] == character else at - 1
