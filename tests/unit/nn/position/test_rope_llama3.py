"""position=rope_llama3."""

from typing import Any

import pytest
import torch

from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.position.rope_llama3 import RoPELlama3
from tests.unit.nn.position.scaled import ours, sizes, theirs


@pytest.mark.parametrize(
    ("factor", "original", "low", "high"), [(8.0, 1024, 1.0, 4.0), (32.0, 256, 2.0, 3.0)]
)
def test_equals_transformers(factor: float, original: int, low: float, high: float) -> None:
    given = {"low_freq_factor": low, "high_freq_factor": high, "factor": factor}
    wanted, amplitude = theirs(
        "llama3", 64, 8192, original_max_position_embeddings=original, **given
    )
    for length in (original, None):  # null: the same, from max_len
        rope = RoPELlama3(original_len=length, **given, **sizes(max_len=8192))
        torch.testing.assert_close(ours(rope).float(), wanted, rtol=1e-6, atol=0)
        assert rope.amplitude == amplitude
    ratio = ours(RoPE(**sizes())) / ours(rope)
    assert float(ratio[0]) == 1.0
    assert float(ratio[-1]) == pytest.approx(factor)
    assert ((ratio > 1.01) & (ratio < 0.99 * factor)).any()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"factor": 0.9}, "factor=0.9 must be a number of at least 1.0, for example 1.0"),
        ({"high_freq_factor": 1.0}, "high_freq_factor=1.0 must be above low_freq_factor=1.0"),
        ({"low_freq_factor": -1.0}, "low_freq_factor=-1.0 must be a positive number"),
        ({"original_len": 0}, "original_len=0 must be at least 1"),
    ],
)
def test_refuses(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}"):
        RoPELlama3(**options, **sizes())
