"""What models keep besides what tests/contracts/conformance holds every pair of options against."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import noise, options, tiny
from tests.helpers.assembly import MAX_LEN, assemble

EXACT = 1e-10  # between two orders of the same float64 arithmetic
IDS = torch.randint(0, 256, (2, MAX_LEN), generator=torch.Generator().manual_seed(0))


def near(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() < EXACT).all())


def test_no_gradient_crosses_into_the_past_or_another_document() -> None:
    model: Any = assemble(position="rope")
    documents = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2], [5, 6, 6, 6, 6, 6, 6, 6, 6]])
    x = model.embedding(IDS).detach().requires_grad_()
    (model.decoder(x)[:, :6] * noise(2, 6, 16)).sum().backward()
    assert not x.grad[:, 6:].any(), "an earlier feature has a gradient from a later token"
    x.grad = None
    packed = model.decoder(x, documents=documents)
    (packed[0, 4:7] * noise(3, 16)).sum().backward()
    assert not x.grad[0, documents[0] != 1].any(), "gradient crosses into another document"
    assert x.grad[0, 4:7].any()


def test_cache_of_another_chunk_size() -> None:
    """Three tokens at a time give what nine at once give."""
    model: Any = assemble(position="rope", pattern="sliding_window", attention="gqa")
    cache = model.decoder.new_cache(MAX_LEN)
    x = model.embedding(IDS)
    steps = [model.decoder(x[:, t : t + 3], cache=cache) for t in range(0, MAX_LEN, 3)]
    assert near(torch.cat(steps, dim=1), model.decoder(x))


# -- torch.compile --------------------------------------------------------------------------------


# Blocks of each preset are compiled, one by one, by the slow tests of conformance.
WHOLE = [
    "norm=rmsnorm",
    *(pytest.param(f"model={kind}", marks=pytest.mark.slow) for kind in options("model")),
    *(pytest.param(f"preset={p}", marks=pytest.mark.thorough) for p in options("preset")),
]


@pytest.mark.parametrize("override", WHOLE)
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
