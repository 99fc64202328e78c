"""Every combination of the parts that meet in attention keeps what a transformer promises.

Options are those on disk, so that a new one meets all others here without being listed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_transformer.models.base import Transformer
from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.tasks.base import Batch
from tests.assembly import MAX_LEN, WORDS, assemble, built
from tests.conftest import noise, options, tiny

EXACT = 1e-10  # between two orders of the same float64 arithmetic
PROMPT = 7
IDS = torch.randint(0, 256, (2, MAX_LEN), generator=torch.Generator().manual_seed(0))

MEETING = ("position", "attention", "pattern", "residual", "norm", "block")
REST = ("activation", "ffn", "init", "qk_norm", "embedding", "kernel")


def product(*groups: str) -> list[Any]:
    """Every combination of the options of some groups, as parameters of a test."""
    combinations = itertools.product(*(options(group) for group in groups))
    return [pytest.param(dict(zip(groups, c, strict=True)), id="-".join(c)) for c in combinations]


def pairs(groups: Sequence[str]) -> list[Any]:
    """Few combinations in which any two options of any two groups meet at least once."""
    open_pairs = {
        frozenset(((g, a), (h, b)))
        for g, h in itertools.combinations(groups, 2)
        for a in options(g)
        for b in options(h)
    }
    rows = []
    while open_pairs:
        # Begin with a pair that has not met, then let each group take what helps most.
        row = dict(min(map(sorted, open_pairs)))
        for group in groups:
            if group not in row:
                row[group] = max(
                    options(group),
                    key=lambda o, g=group: sum(
                        frozenset(((g, o), p)) in open_pairs for p in row.items()
                    ),
                )
        open_pairs -= {frozenset(two) for two in itertools.combinations(row.items(), 2)}
        rows.append(pytest.param(row, id="-".join(row[group] for group in groups)))
    return rows


def near(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() < EXACT).all())


def features(model: Transformer, ids: Tensor, **given: Any) -> Tensor:
    """(B, T, D), which the output layer then turns into scores position by position."""
    return model.features(Batch(ids, ids, torch.tensor(ids.numel()), ids.numel(), **given))


def set_kernel(model: Transformer, option: str) -> None:
    for module in model.modules():
        if hasattr(module, "kernel"):
            module.kernel = built("kernel", option)


def decoded(model: Transformer, rows: list[np.ndarray], tails: Tensor) -> Tensor:
    """Features of a prompt and of the tokens after it, read with a cache, one token at a time."""
    state, ids, padding = model.begin(rows)
    steps = [model.decode(ids, state, padding)]
    steps += [model.decode(tails[:, t : t + 1], state) for t in range(tails.shape[1])]
    return torch.cat(steps, dim=1)


def check_no_leak(model: Transformer, full: Tensor) -> None:
    changed = IDS.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 256
    other = features(model, changed)
    assert torch.equal(other[:, :5], full[:, :5]), "a later token changes an earlier feature"
    assert (other[:, 5] != full[:, 5]).any(), "a token does not change its own features"


def check_cache(model: Transformer, full: Tensor) -> None:
    """Rows of seven and four tokens side by side, padded on the left, and rows without padding."""
    rows = [row.numpy() for row in IDS[:, :PROMPT]]
    assert near(decoded(model, rows, IDS[:, PROMPT:]), full), "with a cache differs from without"
    padded = decoded(model, [rows[0], rows[1][:4]], IDS[:, PROMPT:])
    assert near(padded[0], full[0]), "with a cache a row depends on its neighbour"
    alone = features(model, torch.cat((IDS[1:, :4], IDS[1:, PROMPT:]), dim=1))
    assert near(padded[1:, PROMPT - 4 :], alone), "padding on the left changes a row"


def check_gradients(model: Any) -> None:
    x = model.embedding(IDS).detach().requires_grad_()
    (model.decoder(x)[:, :6] * noise(2, 6, 16)).sum().backward()
    assert not x.grad[:, 6:].any(), "an earlier feature has a gradient from a later token"
    for name, parameter in model.decoder.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"{name} has no finite gradient"


def check_decoder(model: Transformer) -> None:
    with torch.no_grad():
        full = features(model, IDS)
        assert full.isfinite().all()
        check_no_leak(model, full)
        check_cache(model, full)
    check_gradients(model)


@pytest.mark.parametrize("choices", product(*MEETING))
def test_decoder(choices: dict[str, str]) -> None:
    model = assemble(**choices)
    check_decoder(model)
    with torch.no_grad():
        full = features(model, IDS)
        for kernel in options("kernel"):
            set_kernel(model, kernel)
            assert near(features(model, IDS), full), f"kernel={kernel} differs from eager"


@pytest.mark.parametrize("choices", pairs(MEETING + REST))
def test_decoder_with_any_two_options(choices: dict[str, str]) -> None:
    check_decoder(assemble(**choices))


def test_any_two_options_meet() -> None:
    small = pairs(("residual", "pattern", "norm"))
    rows = [row.values[0] for row in small]
    for g, h in itertools.combinations(("residual", "pattern", "norm"), 2):
        for a, b in itertools.product(options(g), options(h)):
            assert any(row[g] == a and row[h] == b for row in rows)
    assert len(small) < len(product("residual", "pattern", "norm"))


# -- encoder --------------------------------------------------------------------------------------

ENCODERS = product("position", "attention", "pattern", "block")
LENGTHS = (MAX_LEN, 5)


def right_padded() -> tuple[Tensor, Tensor]:
    """Two rows, of nine and of five tokens, and their padding."""
    padding = torch.arange(MAX_LEN) >= torch.tensor(LENGTHS)[:, None]
    return IDS.masked_fill(padding, WORDS.pad_id), padding


@pytest.mark.parametrize("choices", ENCODERS)
def test_encoder(choices: dict[str, str]) -> None:
    model = assemble(EncoderOnly, **choices)
    ids, padding = right_padded()
    with torch.no_grad():
        both = features(model, ids, padding=padding)
        other = features(model, ids.masked_fill(padding, 7), padding=padding)
        for row, n in enumerate(LENGTHS):
            assert torch.equal(other[row, :n], both[row, :n]), "what pads hold changes a row"
            alone = features(model, ids[row : row + 1, :n])
            assert near(both[row : row + 1, :n], alone), "a row depends on its neighbour"
        set_kernel(model, "sdpa")
        real = ~padding
        assert near(features(model, ids, padding=padding)[real], both[real])
        changed = ids.clone()
        changed[:, 4] = (changed[:, 4] + 1) % 256
        assert (features(model, changed, padding=padding)[:, 3] != both[:, 3]).any(), (
            "sees no right"
        )


# -- encoder-decoder ------------------------------------------------------------------------------


def forced(model: Transformer, source: Tensor, padding: Tensor | None, ids: Tensor) -> Tensor:
    return features(model, ids, source_ids=source, source_padding=padding)


@pytest.mark.parametrize("choices", ENCODERS)
def test_encoder_decoder(choices: dict[str, str]) -> None:
    model = assemble(EncoderDecoder, **choices)
    source, padding = right_padded()
    target = torch.cat((torch.full((2, 1), WORDS.bos_id), IDS[:, :5].flip(0)), dim=1)
    with torch.no_grad():
        full = forced(model, source, padding, target)
        hidden = forced(model, source.masked_fill(padding, 7), padding, target)
        assert torch.equal(hidden, full), "what pads of the source hold changes the target"
        alone = forced(model, source[1:, : LENGTHS[1]], None, target[1:])
        assert near(full[1:], alone), "a row depends on its neighbour"
        changed = source.clone()
        changed[:, 2] = (changed[:, 2] + 1) % 256
        assert (forced(model, changed, padding, target) != full).any(), "the source is not read"
        rows = [source[row, :n].numpy() for row, n in enumerate(LENGTHS)]
        state, first, _ = model.begin(rows)
        assert torch.equal(first, target[:, :1])
        steps = [model.decode(target[:, t : t + 1], state) for t in range(target.shape[1])]
        assert near(torch.cat(steps, dim=1), full), "word by word differs from teacher forcing"


# -- packed documents -----------------------------------------------------------------------------

NUMBERS = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2], [5, 6, 6, 6, 6, 6, 6, 6, 6]])


@pytest.mark.parametrize("choices", ENCODERS)
def test_packed_documents_are_as_if_alone(choices: dict[str, str]) -> None:
    model: Any = assemble(**choices)
    x = model.embedding(IDS).detach().requires_grad_()
    packed = model.decoder(x, documents=NUMBERS)
    for row in range(2):
        for number in NUMBERS[row].unique():
            mine = NUMBERS[row] == number
            assert near(packed[row, mine], model.decoder(x[row : row + 1, mine])[0])
    (packed[0, 4:7] * noise(3, 16)).sum().backward()
    assert not x.grad[0, NUMBERS[0] != 1].any(), "gradient crosses into another document"
    assert x.grad[0, 4:7].any()


def test_packed_documents_in_an_encoder_are_as_if_alone() -> None:
    model: Any = assemble(EncoderOnly, position="rope")
    x = model.embedding(IDS)
    packed = model.encoder(x, documents=NUMBERS)
    middle = NUMBERS[0] == 1
    assert near(packed[0, middle], model.encoder(x[:1, middle])[0])


def test_cache_of_another_chunk_size() -> None:
    """Three tokens at a time give what nine at once give."""
    model: Any = assemble(position="rope", pattern="sliding_window", attention="gqa")
    cache = model.decoder.new_cache(MAX_LEN)
    x = model.embedding(IDS)
    steps = [model.decoder(x[:, t : t + 3], cache=cache) for t in range(0, MAX_LEN, 3)]
    assert near(torch.cat(steps, dim=1), model.decoder(x))


# -- torch.compile --------------------------------------------------------------------------------


SLOW = [f"model={kind}" for kind in options("model")] + [f"preset={p}" for p in options("preset")]


@pytest.mark.parametrize(
    "override", ["norm=rmsnorm", *(pytest.param(o, marks=pytest.mark.slow) for o in SLOW)]
)
def test_compiles_into_one_graph(override: str) -> None:
    # All models share the code of the stack, which torch compiles a limited number of times.
    torch.compiler.reset()
    model: Any = tiny(override, dtype=torch.float32)
    x = noise(2, 16, 32).float()
    for name in ("encoder", "decoder"):
        stack = getattr(model, name, None)
        if stack is None:
            continue
        given = {"memory": x} if hasattr(stack.blocks[0], "cross") else {}
        compiled = torch.compile(stack, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, **given), stack(x, **given), rtol=0, atol=1e-5)
