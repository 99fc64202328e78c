"""Naming the class of texts."""

from __future__ import annotations

from typing import Any

import torch

from lightning_transformer.data.examples import Labelled
from lightning_transformer.generate import prompt
from lightning_transformer.generate.arguments import WRITING, GenerateRequest
from lightning_transformer.generate.output import Output
from lightning_transformer.tasks.base import on_device


@torch.no_grad()
def answer(model: Any, request: GenerateRequest, output: Output) -> None:
    """One line per text: the likeliest label, a tab, its probability. Empty line for empty text."""
    request.refuse("a classification run names a label", *WRITING)
    lines = request.lines()
    task = model.task
    longest = model.max_len - task.n_extra_tokens
    collate = task.collator("test")
    for start in range(0, len(lines), request.batch_size):
        numbers = range(start, min(start + request.batch_size, len(lines)))
        examples = []
        for i in numbers:
            name = f"text {i + 1}"
            ids = prompt.encode(task.vocabulary, lines[i], name, output)
            examples += [Labelled(prompt.cut(ids, longest, name, output), 0)] if len(ids) else []
        chances = iter(())
        if examples:
            batch = on_device(collate(examples, [0] * len(examples)), model.device)
            scores, _ = task.scores(model.features(batch), batch)
            chances = iter(scores.softmax(dim=-1).cpu())
        for i in numbers:
            output.write(_line(next(chances), task.labels) if lines[i] else "\n")


def _line(chances: torch.Tensor, labels: list[str]) -> str:
    best = int(chances.argmax())
    return f"{labels[best]}\t{chances[best]:.3f}\n"
