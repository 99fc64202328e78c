"""Continuing a text."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightning_transformer.decoding.decode import generate_tokens, stream_tokens
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.generate import prompt
from lightning_transformer.generate.arguments import SEED, TEMPERATURE, GenerateRequest
from lightning_transformer.generate.output import Output
from lightning_transformer.generate.text_stream import TextStream


def answer(model: Any, request: GenerateRequest, output: Output) -> None:
    """Each prompt with its continuation, n_samples times; token by token on a terminal.

    An empty prompt starts a document. Without a terminal batch_size texts are written at once.
    """
    sampling = request.sampling(TEMPERATURE)
    if sampling.temperature == 0 and request.n_samples > 1:
        raise ValueError(
            f"n_samples={request.n_samples} greedy samples would all be the same; "
            "leave --n-samples out, or set --temperature, e.g. 0.8"
        )
    texts = [(request.piped or "").removesuffix("\n")] if request.texts is None else request.texts
    rows = [_row(model, text, f"prompt {i + 1}", output) for i, text in enumerate(texts)]
    jobs = [(i, sample) for i in range(len(texts)) for sample in range(request.n_samples)]
    seed = SEED if request.seed is None else request.seed
    size = 1 if output.is_terminal else request.batch_size
    for start in range(0, len(jobs), size):
        batch = jobs[start : start + size]
        ids = [rows[i] for i, _ in batch]
        seeds = [row_seed(seed, i, sample) for i, sample in batch]
        options: dict[str, Any] = {
            "max_new_tokens": request.max_new_tokens,
            "sampler": make_sampler(sampling, seeds),
        }
        if output.is_terminal:
            if len(jobs) > 1:
                output.header(_name(batch[0], len(texts), request.n_samples))
            output.prompt(texts[batch[0][0]])
            _write_stream(model, ids[0], options, output)
        else:
            for (i, _), said in zip(batch, generate_tokens(model, ids, **options), strict=True):
                text = TextStream(model.task.vocabulary, rows[i])
                output.write(texts[i] + text.push(said) + text.end() + "\n")


def _row(model: Any, text: str, name: str, output: Output) -> np.ndarray:
    vocabulary = model.task.vocabulary
    ids = prompt.encode(vocabulary, text, name, output)
    if len(ids) > model.max_len:
        output.remark(
            f"{name}: {len(ids)} tokens; the model remembers {model.max_len} and goes on from the "
            f"last {max(1, model.max_len // 2)}"
        )
    return ids if len(ids) else np.array([vocabulary.eos_id])


def _name(job: tuple[int, int], n_texts: int, n_samples: int) -> str:
    parts = []
    for word, number, total in (("prompt", job[0], n_texts), ("sample", job[1], n_samples)):
        parts += [f"{word} {number + 1} of {total}"] if total > 1 else []
    return f"--- {', '.join(parts)} ---"


def _write_stream(model: Any, row: np.ndarray, options: dict[str, Any], output: Output) -> None:
    text = TextStream(model.task.vocabulary, row)
    try:
        for new in stream_tokens(model, [row], **options):
            output.write(text.push(new.tolist()))  # the end-of-text token has no text
    finally:  # also when interrupted
        output.write(text.end() + "\n")
