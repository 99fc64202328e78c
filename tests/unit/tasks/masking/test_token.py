"""masking=token."""

from __future__ import annotations

import numpy as np

from lightning_transformer.tasks.masking.token import TokenMasking


def test_each_text_token_is_drawn_on_its_own() -> None:
    is_text = np.arange(100_000) % 10 > 0
    groups = TokenMasking().choose(is_text, None, 0.15, np.random.default_rng(1))
    chosen = groups >= 0
    assert not chosen[~is_text].any()
    assert (groups[chosen] == np.flatnonzero(chosen)).all()
    share = chosen[is_text].mean()
    assert abs(share - 0.15) < 3 * np.sqrt(0.15 * 0.85 / is_text.sum())
    # Independent: a neighbour of a hidden token is hidden as often as any.
    text = chosen[is_text]
    assert abs(text[1:][text[:-1]].mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / text.sum())
