"""Answering sources, one line each."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.generate import prompt
from lightning_transformer.generate.arguments import SEED, GenerateRequest
from lightning_transformer.generate.output import Output

WINDOW = 16  # batches that are sorted by length together, and written together


def answer(model: Any, request: GenerateRequest, output: Output) -> None:
    """One line per source, in their order; line breaks in an answer become spaces.

    Sources of like length go through the model together. An empty source gives an empty line.
    """
    request.refuse("a source gets one line", "--n-samples")
    sampling = request.sampling(0.0)
    seed = SEED if request.seed is None else request.seed
    vocabulary = model.task.vocabulary
    lines = request.lines()
    window = WINDOW * request.batch_size
    for start in range(0, len(lines), window):
        numbers = range(start, min(start + window, len(lines)))
        rows = {i: _row(model, lines[i], f"source {i + 1}", output) for i in numbers if lines[i]}
        order = sorted(rows, key=lambda i: len(rows[i]))
        said: dict[int, str] = {}
        for at in range(0, len(order), request.batch_size):
            batch = order[at : at + request.batch_size]
            sampler = make_sampler(sampling, [row_seed(seed, i, 0) for i in batch])
            outputs = generate_tokens(
                model,
                [rows[i] for i in batch],
                max_new_tokens=request.max_new_tokens,
                sampler=sampler,
            )
            said |= zip(batch, map(vocabulary.decode, outputs), strict=True)
        for i in numbers:
            output.write(" ".join(said.get(i, "").splitlines()) + "\n")


def _row(model: Any, text: str, name: str, output: Output) -> np.ndarray:
    vocabulary = model.task.vocabulary
    ids = prompt.encode(vocabulary, text, name, output)
    return np.append(prompt.cut(ids, model.max_len - 1, name, output), vocabulary.eos_id)
