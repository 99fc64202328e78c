"""What the rows of several architectures share."""

from __future__ import annotations

import pytest


@pytest.fixture
def untraced_flex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute kernel=flex without tracing it first, which takes most of a row's time.

    The trace is run operation by operation on a CPU, the same operations as without it. That it
    can be traced, the quick rows of the decoder show, each of which is held against this kernel.
    """
    name = "torch.nn.attention.flex_attention._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"
    monkeypatch.setattr(name, True, raising=False)  # unknown to a later torch: slow again
