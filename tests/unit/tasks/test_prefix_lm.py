"""task=prefix_lm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.data.examples import Pair
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.tasks.base import IGNORE, Batch
from lightning_transformer.tasks.predict import PredictOptions
from lightning_transformer.tasks.prefix_lm import PrefixThenTarget
from tests.conftest import tiny
from tests.unit.tasks.drawn import examples

WORDS = ByteVocabulary()
PAIRS = [
    Pair(np.array([97, 98, 99, 100]), np.array([101, 102])),
    Pair(np.array([103]), np.array([104, 105, 106, 107, 108])),
    Pair(np.array([109, 110]), np.array([111])),
]


def batch_of(pairs: list[Pair]) -> Batch:
    return PrefixThenTarget(WORDS.bos_id, WORDS.eos_id, WORDS.pad_id)(pairs, [0] * len(pairs))


def test_a_batch_is_that_of_completion_with_prefixes() -> None:
    batch, model = batch_of(PAIRS), tiny("task=completion")
    plain = model.task.collator("train")(PAIRS, [0, 0, 0])
    assert batch.prefix is not None
    assert batch.prefix.tolist() == [5, 2, 3]
    assert torch.equal(batch.input_ids, plain.input_ids)
    assert torch.equal(batch.labels, plain.labels)
    # What sees both ways is no target, but for the start token, which predicts the next one.
    for labels, n in zip(batch.labels, batch.prefix.tolist(), strict=True):
        assert (labels[: n - 1] == IGNORE).all()
        assert labels[n - 1] != IGNORE


def heard(model: Any, batch: Batch) -> Tensor:
    """(B, T, T) bool: whether the features at t depend on the token at s."""
    found = []

    def keep(module: Any, args: Any, out: Tensor) -> Tensor:
        leaf = out.detach().requires_grad_()
        found.append(leaf)
        return leaf

    hook = model.embedding.register_forward_hook(keep)
    features = model.features(batch)
    hook.remove()
    rows = [
        torch.autograd.grad(features[:, t].square().sum(), found[0], retain_graph=True)[0]
        for t in range(features.shape[1])
    ]
    return torch.stack(rows, dim=1).abs().sum(dim=-1) > 0


@pytest.mark.parametrize(
    ("typed", "window"),
    [(("pattern=full",), 99), (("pattern=sliding_window", "pattern.window=3"), 3)],
)
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_who_sees_whom_by_a_loop(typed: tuple[str, ...], window: int, kernel: str) -> None:
    """One layer: itself and the past, and both ways within the prefix; as far as the window."""
    model = tiny("task=prefix_lm", "model.n_layers=1", f"kernel={kernel}", *typed)
    batch = batch_of(PAIRS)
    assert batch.prefix is not None
    seen = heard(model, batch)
    for i, n in enumerate(batch.prefix.tolist()):
        for t in range(seen.shape[1]):
            for s in range(seen.shape[1]):
                near = abs(t - s) < window
                expected = near and (s <= t or (s < n and t < n))
                assert bool(seen[i, t, s]) == expected, (i, t, s)


def test_features_are_those_of_a_fixed_prefix() -> None:
    """pattern=prefix has the same mask for rows whose sources are equally long."""
    pairs = [Pair(np.arange(97, 101), np.arange(105, 110)), Pair(np.arange(3, 7), np.arange(5))]
    model = tiny("task=prefix_lm")
    fixed = tiny("task=causal_lm", "pattern=prefix", "pattern.n_prefix=5")
    fixed.load_state_dict(model.state_dict())
    batch = batch_of(pairs)
    with torch.no_grad():
        ours, theirs = model.features(batch), fixed.features(batch._replace(prefix=None))
        causal = model.features(batch._replace(prefix=None))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert (ours - causal).abs().max() > 1e-3


@pytest.mark.parametrize("position", ["rope", "learned", "alibi"])
def test_decoding_with_a_cache_equals_the_whole_pass(position: str) -> None:
    """Prompts of unequal length, so with pads on the left; then the target token by token."""
    model: Any = tiny("task=prefix_lm", f"position={position}")
    batch = batch_of(PAIRS)
    prompts = [np.append(pair.source, WORDS.bos_id).astype(np.int64) for pair in PAIRS]
    with torch.no_grad():
        whole = model.features(batch)
        state, ids, padding = model.begin(prompts)
        found = [model.decode(ids, state, padding)[:, -1]]
        for k in range(5):
            new = [pair.target[k] if k < len(pair.target) else WORDS.pad_id for pair in PAIRS]
            found.append(model.decode(torch.tensor(new)[:, None], state)[:, -1])
    for i, pair in enumerate(PAIRS):
        for k in range(len(pair.target) + 1):
            expected = whole[i, len(pair.source) + k]
            torch.testing.assert_close(found[k][i], expected, rtol=1e-10, atol=1e-10)


def test_what_is_written_does_not_depend_on_the_others_and_ends_with_the_row() -> None:
    model: Any = tiny("task=prefix_lm")
    rows = [np.append(e.source, WORDS.bos_id) for e in examples(Pair, 4)]
    together = generate_tokens(model, rows, max_new_tokens=100)
    alone = [generate_tokens(model, [row], max_new_tokens=100)[0] for row in rows]
    for output, by_itself in zip(together, alone, strict=True):
        assert output == by_itself[: len(output)]
    assert not model.slides
    longest = max(map(len, rows))
    assert all(len(output) <= model.max_len - longest + 1 for output in together)
    found = [p.result() for p in model.task.predict(model, ["abc", ""], PredictOptions())]
    assert found[1] == ""


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("position=xpos", "position=xpos counts back .* use task=completion or position=rope"),
        ("attention=cope position=none kernel=eager", "attention=cope counts back"),
        ("attention=linear position=none", "attention=linear has none; use task=completion"),
        ("pattern=prefix pattern.n_prefix=4", "use task=causal_lm or pattern=full"),
    ],
)
def test_what_sees_the_past_alone_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny("task=prefix_lm", *typed.split())
