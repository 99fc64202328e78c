"""What a model writes behind prompts or for sources, and the predictions made of it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.decoding.beam_search import beam_search
from lightning_transformer.decoding.decode import (
    Written,
    decode_steps,
    generate,
    generate_tokens,
)
from lightning_transformer.decoding.sampler import make_sampler, row_seed
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.decoding.speculative import check_draft, speculative_tokens
from lightning_transformer.decoding.stop_strings import before_stop
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import Sample
from lightning_transformer.tasks.predict import (
    SEED,
    Prediction,
    PredictOptions,
    ScoredText,
    cut,
    encode,
)


def continuations(
    model: Any,
    rows: Mapping[Any, np.ndarray],
    options: PredictOptions,
    temperature: float = 0.0,
) -> dict[Any, list[Written]]:
    """What a model writes behind each row, its n_best texts with beams, else one.

    temperature: if none is given, 0 = greedily. rows: by the number of a text, or by the pair of it
    and the number of a sample. What is drawn depends on the seed and these numbers, not on the rows
    that are generated together.
    """
    if not rows:
        return {}
    prompts = list(rows.values())
    if options.beams is not None:
        found = beam_search(
            model,
            prompts,
            options.beams,
            max_new_tokens=options.max_new_tokens,
            repetition_penalty=options.repetition_penalty,
            stop=options.stop,
            logprobs=options.scores,
        )
        return dict(zip(rows, found, strict=True))
    if options.draft is not None:
        return {
            job: [_speculated(model, job, row, options, temperature)] for job, row in rows.items()
        }
    texts = generate(
        model,
        prompts,
        max_new_tokens=options.max_new_tokens,
        sampler=make_sampler(options.sampling(temperature), [_seed(job, options) for job in rows]),
        repetition_penalty=options.repetition_penalty,
        stop=options.stop,
        logprobs=options.scores,
    )
    return {job: [text] for job, text in zip(rows, texts, strict=True)}


def streamed(
    model: Any, job: Any, row: np.ndarray, options: PredictOptions, temperature: float
) -> Iterator[list[int]]:
    """The tokens of `continuations` of one row, without beams, as they are drawn."""
    if options.draft is not None:
        for token, _ in _drafted(model, job, row, options, temperature):
            yield [token]
        return
    steps = decode_steps(
        model,
        [row],
        max_new_tokens=options.max_new_tokens,
        sampler=make_sampler(options.sampling(temperature), [_seed(job, options)]),
        repetition_penalty=options.repetition_penalty,
        stop=options.stop,
    )
    yield from (step.ids.tolist() for step in steps)


def _seed(job: Any, options: PredictOptions) -> int:
    seed = SEED if options.seed is None else options.seed
    return row_seed(seed, *(job if isinstance(job, tuple) else (job, 0)))


def _drafted(
    model: Any, job: Any, row: np.ndarray, options: PredictOptions, temperature: float
) -> Iterator[tuple[int, float]]:
    assert options.draft is not None
    check_draft(model, options.draft.model)
    return speculative_tokens(
        model,
        options.draft.model,
        row,
        max_new_tokens=options.max_new_tokens,
        sampling=options.sampling(temperature),
        seed=_seed(job, options),
        n_draft=options.draft.n_tokens,
        repetition_penalty=options.repetition_penalty,
        stop=options.stop,
    )


def _speculated(
    model: Any, job: Any, row: np.ndarray, options: PredictOptions, temperature: float
) -> Written:
    found = list(_drafted(model, job, row, options, temperature))
    return Written([token for token, _ in found], [logprob for _, logprob in found])


def responses(
    model: Any, texts: Sequence[str], options: PredictOptions, longest: int
) -> Iterator[Prediction]:
    """The response to each prompt, greedily by default; "" for an empty one.

    longest: tokens of a prompt that the model reads, without those that stand before it.
    """
    options.refuse("a prompt gets one response", "n_samples")
    options.sampling(0.0)  # refused before the first text
    vocabulary = model.task.vocabulary
    for start in range(0, len(texts), options.batch_size):
        numbers = range(start, min(start + options.batch_size, len(texts)))
        rows = {}
        for i in (i for i in numbers if texts[i]):
            name = f"prompt {i + 1}"
            ids = encode(vocabulary, texts[i], name, options)
            rows[i] = with_start(vocabulary, cut(ids, longest, name, options))
        written = continuations(model, rows, options)
        yield from predictions(vocabulary, numbers, written, texts, options)


def with_start(vocabulary: Vocabulary, ids: np.ndarray) -> np.ndarray:
    """Ids of a prompt, with what a trained model expects before it."""
    return np.concatenate((vocabulary.before, ids)).astype(np.int64)


def answer_limits(sources: Sequence[np.ndarray]) -> list[int]:
    """The most tokens of an output that is scored or shown, for each source: twice its own and 32.

    No target has a say in that.
    """
    return [2 * len(source) + 32 for source in sources]


def beams_to_score(n_beams: int, length_penalty: float, n_generated: int) -> Beams | None:
    """How a task writes what its metrics score: by beam search; None = greedily, with one beam.

    n_beams: >= 1. length_penalty: see `Beams`. n_generated: see `Task`. Raises ValueError for
    values outside their range, and for beams and penalties that have no effect.
    """
    checks.at_least("n_beams", n_beams, 1, 4)
    if n_beams == 1:
        if length_penalty != 1.0:
            raise ValueError(
                f"length_penalty={length_penalty} has no effect on greedy output, with n_beams=1; "
                "use n_beams=4, for example"
            )
        return None
    if not n_generated:
        raise ValueError(
            f"n_beams={n_beams} has no effect on metrics: with n_generated=0 none is of written "
            "text; use n_generated=64, for example"
        )
    return Beams(n_beams, length_penalty)


def best_tokens(
    model: Any,
    rows: Sequence[np.ndarray],
    beams: Beams | None,
    *,
    max_new_tokens: int | Sequence[int],
) -> list[list[int]]:
    """Token ids of the best text that a search finds for each row, or greedy ones; without EOS.

    max_new_tokens: of all rows, or of each. Those of a row do not depend on the others.
    """
    if beams is None:
        return generate_tokens(model, rows, max_new_tokens=max_new_tokens)
    found = beam_search(model, rows, beams, max_new_tokens=max_new_tokens)
    return [texts[0].ids for texts in found]


def greedy_samples(
    model: Any,
    rows: Sequence[np.ndarray],
    sources: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
) -> list[Sample]:
    """What a model writes behind rows, greedily, beside the sources and targets of these."""
    decode = model.task.vocabulary.decode
    outputs = generate_tokens(model, rows, max_new_tokens=max(map(len, targets)) + 1)
    return [
        Sample(decode(source), decode(output), decode(target))
        for source, output, target in zip(sources, outputs, targets, strict=True)
    ]


def predictions(
    vocabulary: Vocabulary,
    numbers: Iterable[int],
    written: Mapping[int, list[Written]],
    prompts: Sequence[str],
    options: PredictOptions,
    as_text: Callable[[int, list[int]], str] | None = None,
) -> Iterator[Prediction]:
    """The predictions of texts, by their numbers; "" for one of which nothing was written.

    as_text: (number, tokens) -> text, by default the decoded tokens, up to a stop string.
    """
    for i in numbers:
        for found in written.get(i, [Written([], [])]):
            if i not in written:
                text = ""
            elif as_text is None:
                text = before_stop(vocabulary.decode(found.ids), options.stop)
            else:
                text = as_text(i, found.ids)
            if options.scores:
                yield scored_prediction(vocabulary, found, text, prompts[i])
            else:
                yield Prediction((text,))


def scored_prediction(
    vocabulary: Vocabulary, written: Written, text: str, prompt: str
) -> Prediction:
    """A text with its tokens and their log-probabilities, as a line of JSON."""
    tokens = [vocabulary.decode([token]) for token in written.ids]
    scored = ScoredText(prompt, text, tokens, written.logprobs or [], written.score)
    return Prediction((json.dumps(asdict(scored), ensure_ascii=False),), value=scored)
