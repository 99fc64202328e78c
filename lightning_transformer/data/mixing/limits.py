"""What a run may take of the parts of a mixture, and what it has taken."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lightning_transformer.config.mixture_parts import PartConfig
from lightning_transformer.data.mixing.mixed_order import MixedOrder
from lightning_transformer.data.mixing.mixed_split import PartSplits, tokens_per_example
from lightning_transformer.data.mixing.quota import Quota

CHUNK = 1 << 16  # examples that are counted at a time


def check_tokens(
    parts: Mapping[str, PartConfig], n_steps: int, batch_size: int, n_examples: int
) -> None:
    """Refuse more steps than the tokens of the parts are; ValueError.

    n_examples: of all parts, as many as have these tokens. Nothing is checked without tokens.
    """
    if any(part.tokens is None for part in parts.values()):
        return
    most = n_examples // batch_size
    if n_steps > most:
        total = sum(part.tokens or 0 for part in parts.values())
        advice = f"use trainer.max_steps={most}, or more tokens" if most else "give more tokens"
        raise ValueError(
            f"data.parts have {total:,} tokens together, which is {most:,} steps of {batch_size} "
            f"examples, but trainer.max_steps={n_steps}; {advice}"
        )


def most_examples(parts: Mapping[str, PartConfig], sizes: Sequence[int]) -> list[int | None]:
    """How many examples (n_parts,) of each part its max_epochs allow; None = any number.

    sizes: examples of each part. Raises ValueError where that is none.
    """
    found: list[int | None] = []
    for (name, part), size in zip(parts.items(), sizes, strict=True):
        most = None if part.max_epochs is None else int(Fraction(str(part.max_epochs)) * size)
        if most == 0:
            raise ValueError(
                f"data.parts.{name}.max_epochs={part.max_epochs} is less than one of the {size:,} "
                f"training examples of {name}; use e.g. data.parts.{name}.max_epochs=1, or leave "
                f"the part out"
            )
        found.append(most)
    return found


def check_tokens_fit(
    parts: Mapping[str, PartConfig], n_examples: Sequence[int], most: Sequence[int | None]
) -> None:
    """Refuse tokens of a part that are more than its max_epochs allow; ValueError.

    n_examples: of each part, as many as have these tokens. Nothing is checked without tokens.
    """
    for (name, part), n, limit in zip(parts.items(), n_examples, most, strict=True):
        if part.tokens is not None and limit is not None and n > limit:
            tokens = part.tokens * limit // n
            raise ValueError(
                f"data.parts.{name}.tokens={part.tokens} are more than the "
                f"max_epochs={part.max_epochs} of {name} have; use data.parts.{name}.tokens="
                f"{tokens}, or a larger max_epochs"
            )


def check_end(end: int | None, n_steps: int, batch_size: int) -> None:
    """Refuse more steps than there are examples where every part has max_epochs; ValueError.

    end: examples of the whole stream; None = without end.
    """
    if end is None or n_steps * batch_size <= end:
        return
    fits = end // batch_size
    advice = f"use trainer.max_steps={fits}, or a" if fits else "give one of them a"
    raise ValueError(
        f"max_epochs of data.parts allow {end:,} examples together, which is {fits:,} steps of "
        f"{batch_size}, but trainer.max_steps={n_steps}; {advice} larger max_epochs, or leave it "
        "out for one part"
    )


def by_part(
    parts: Mapping[str, PartConfig],
    quota: Quota,
    sizes: Sequence[int],
    counts: np.ndarray,
    batch_size: int,
    n_steps: int,
) -> dict[str, dict[str, Any]]:
    """Source, share, examples and epochs of each part, and the step in which it ends, or None.

    counts: (n_parts,) examples of the steps. n_steps: of the data; what ends later has no end.
    """
    last = [None if end is None else -(-end // batch_size) for end in quota.ends]
    return {
        name: {
            "source": part.source,
            "share": weight / sum(quota.weights),
            "examples": int(n),
            "epochs": float(n / size),
            "last_step": step if step is not None and step <= n_steps else None,
        }
        for (name, part), weight, n, size, step in zip(
            parts.items(), quota.weights, counts, sizes, last, strict=True
        )
    }


def taken(
    order: MixedOrder, parts: PartSplits, spans: Iterable[tuple[int, int]]
) -> tuple[np.ndarray, list[int | None]]:
    """The examples (n_parts,) of each part within spans of steps, and their tokens.

    spans: (first, end) of steps. Tokens are None where they differ from pass to pass.
    """
    counts = np.zeros(len(parts.sizes), dtype=np.int64)
    sizes = [tokens_per_example(split) for split in parts.splits]
    tokens = np.zeros(len(parts.sizes), dtype=np.int64)
    starts = np.cumsum([0, *parts.sizes])
    for first, end in spans:
        counts += order.counts(end * order.batch_size) - order.counts(first * order.batch_size)
        if not any(isinstance(size, np.ndarray) for size in sizes):
            continue
        for place in range(first * order.batch_size, end * order.batch_size, CHUNK):
            n = min(CHUNK, end * order.batch_size - place)
            indices = order.samples(place, n)[1]
            for part, size in enumerate(sizes):
                if isinstance(size, np.ndarray):
                    own = indices[(indices >= starts[part]) & (indices < starts[part + 1])]
                    tokens[part] += size[own - starts[part]].sum()
    return counts, [
        None if size is None else int(t if isinstance(size, np.ndarray) else size * count)
        for size, t, count in zip(sizes, tokens, counts, strict=True)
    ]
