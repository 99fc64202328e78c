"""Filling gaps."""

from __future__ import annotations

from typing import Any

import torch

from lightning_transformer.generate import prompt
from lightning_transformer.generate.arguments import WRITING, GenerateRequest
from lightning_transformer.generate.output import Output


def answer(model: Any, request: GenerateRequest, output: Output) -> None:
    """Each text with every [MASK] replaced by its likeliest token. An empty line stays empty.

    Raises ValueError for a text without [MASK], or with none in what the model can read.
    """
    request.refuse("a masked_lm run fills each [MASK] with its likeliest token", *WRITING)
    request.refuse("gaps are filled text by text", "--batch-size")
    vocabulary = model.task.vocabulary
    lines = request.lines()
    for number, line in enumerate(lines, start=1):
        if line and prompt.MASK not in line:
            raise ValueError(
                f"prompt {number} has no {prompt.MASK}, so there is nothing to fill; write e.g. "
                f'"The {prompt.MASK} statement"'
            )
    for number, line in enumerate(lines, start=1):
        name = f"prompt {number}"
        ids = prompt.encode_masked(vocabulary, line, name, output)
        ids = prompt.cut(ids, model.max_len, name, output)
        if line and vocabulary.mask_id not in ids:
            raise ValueError(
                f"{name} has no {prompt.MASK} among the {model.max_len} tokens that the model "
                "reads; shorten what stands before it"
            )
        filled = ids
        if line:
            row = torch.from_numpy(ids)[None].to(model.device)
            filled = model.task.fill(model, row)[0].cpu().numpy()
        output.write(vocabulary.decode(filled) + "\n")
