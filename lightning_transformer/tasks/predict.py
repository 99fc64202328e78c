"""Predictions from texts: their options, their form, and texts to token ids."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.decoding.sampling import Beams, Sampling, check_repetition_penalty
from lightning_transformer.nn import checks

MASK = "[MASK]"
SEED = 1  # of draws, unless one is given
TEMPERATURE = 0.8  # of a decoder, unless one is given
# Options that have an effect only where text is generated.
GENERATION = (
    *("max_new_tokens", "temperature", "greedy", "top_k", "top_p", "min_p", "seed", "n_samples"),
    *("repetition_penalty", "stop", "n_beams", "length_penalty", "n_best", "draft", "n_draft"),
    "scores",
)


def _ignore(text: str) -> None:
    """Drop a remark."""


@dataclass(frozen=True)
class Draft:
    """A second model that drafts n_tokens, >= 1, at a time, see `speculative_tokens`."""

    model: Any
    n_tokens: int = 4

    def __post_init__(self) -> None:
        checks.at_least("n_draft", self.n_tokens, 1, 4)


@dataclass(frozen=True)
class ScoredText:
    """A text with the tokens that the model wrote, and the log-probability, in nats, of each.

    The probability is the model's own: before temperature, cuts and penalty. The tokens hold what
    ended the text, if that was a stop string. score: of a beam, see `Beams`.
    """

    prompt: str
    text: str
    tokens: list[str]
    logprobs: list[float]
    score: float | None = None


@dataclass(frozen=True)
class PredictOptions:
    """How to predict; None = not given, so that a task can choose its own default.

    batch_size: texts at once, >= 1. max_new_tokens: of each generated text, >= 1. temperature,
    top_k, top_p, min_p: as in Sampling. repetition_penalty: >= 1, see `NextScores`. stop: strings
    at which a text ends, before the first of them. seed: of the draws, >= 0. n_samples: texts per
    prompt, >= 1. beams, draft: beam search, speculative decoding. scores: predictions are
    `ScoredText`s.
    given: the options that the user named, such as top_k or --top-k; one that has no effect in a
    task is refused. streams: one text at a time, token by token. remark: called with one line for
    each text that is cut or has unknown tokens.
    """

    batch_size: int = 32
    max_new_tokens: int = 200
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n_samples: int = 1
    beams: Beams | None = None
    draft: Draft | None = None
    scores: bool = False
    given: frozenset[str] = frozenset()
    streams: bool = False
    remark: Callable[[str], None] = _ignore

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_new_tokens", "n_samples"):
            checks.at_least(name, getattr(self, name), 1)
        if self.seed is not None:
            checks.at_least("seed", self.seed, 0, SEED)
        check_repetition_penalty(self.repetition_penalty)
        if not all(self.stop):
            raise ValueError("stop='' would end every text at once; give a text, for example '.'")
        if self.beams is None:
            return
        for name in ("temperature", "top_k", "top_p", "min_p", "seed"):
            value = getattr(self, name)
            if value is not None and (name, value) != ("temperature", 0):
                raise ValueError(
                    f"{name}={value} has no effect on beam search, which draws nothing; leave it "
                    "out, or leave n_beams out"
                )
        if self.n_samples > 1:
            raise ValueError(
                f"n_samples={self.n_samples} are drawn, and beam search draws nothing; use "
                f"n_best={min(self.n_samples, self.beams.n_beams)}"
            )
        if self.draft is not None:
            raise ValueError(
                "draft: speculative decoding is of one text at a time, not of beams; leave draft "
                "or n_beams out"
            )

    def sampling(self, temperature: float) -> Sampling:
        """How to draw, with the temperature to take if none was given.

        Raises ValueError for values that do not go together.
        """
        chosen = temperature if self.temperature is None else self.temperature
        if self.beams is not None:
            return Sampling(0.0)
        if chosen == 0 and self.seed is not None:
            raise ValueError(
                f"seed={self.seed} has no effect on greedy decoding; set a temperature, e.g. 0.8"
            )
        return Sampling(chosen, self.top_k, self.top_p, self.min_p)

    def refuse(self, reason: str, *options: str) -> None:
        """Raise ValueError if the user gave one of the options: it would have no effect."""
        for option in options:
            for name in self.given:
                if name.lstrip("-").replace("-", "_") == option:
                    raise ValueError(f"{name} has no effect: {reason}; leave it out")


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one text.

    pieces: the prediction as text, piece by piece as it becomes certain. rest: gives what was held
    back, to be called after the pieces, also after an interruption. value: the prediction as a
    Python value; None = the text itself. prompt: text that the prediction continues. title: names
    it among several, "" if there is only one.
    """

    pieces: Iterable[str]
    rest: Callable[[], str] = str
    value: Any = None
    prompt: str = ""
    title: str = ""

    def result(self) -> Any:
        """The value, or all of the text. Uses up the pieces."""
        return "".join(self.pieces) + self.rest() if self.value is None else self.value


def split_lines(text: str | None) -> list[str]:
    """The lines of a text. Raises ValueError if there are none."""
    if not text:
        raise ValueError('nothing to read: give --prompt "...", --file FILE, or pipe lines in')
    return text.removesuffix("\n").split("\n")


def encode(vocabulary: Vocabulary, text: str, name: str, options: PredictOptions) -> np.ndarray:
    """Ids (n,) of a text; a remark if the vocabulary lacks some of it."""
    return _remark_unknown(vocabulary, vocabulary.encode(text).astype(np.int64), name, options)


def encode_masked(
    vocabulary: Vocabulary,
    text: str,
    name: str,
    options: PredictOptions,
    marks: Sequence[int] | None = None,
) -> np.ndarray:
    """Ids (n,) of a text in which each [MASK] is the mask token, or the next of as many marks."""
    pieces = text.split(MASK)
    between = [vocabulary.mask_id] * (len(pieces) - 1) if marks is None else [*marks]
    parts: list[np.ndarray] = []
    for part, mark in zip(pieces, [*between, 0], strict=True):
        parts += [vocabulary.encode(part).astype(np.int64), np.array([mark])]
    return _remark_unknown(vocabulary, np.concatenate(parts[:-1]), name, options)


def _remark_unknown(
    vocabulary: Vocabulary, ids: np.ndarray, name: str, options: PredictOptions
) -> np.ndarray:
    unknown = int((ids == vocabulary.unk_id).sum())
    if unknown:
        options.remark(f"{name}: {unknown} of {len(ids)} tokens are not in the model's vocabulary")
    return ids


def cut(ids: np.ndarray, longest: int, name: str, options: PredictOptions) -> np.ndarray:
    """The first tokens that the model can read, as in training; a remark if some are lost."""
    if len(ids) > longest:
        options.remark(f"{name}: {len(ids)} tokens; the model reads only the first {longest}")
    return ids[:longest]
