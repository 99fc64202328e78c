"""What a processor can do is read from its instructions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lightning_transformer.hardware import processor


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    processor.has_bf16.cache_clear()
    yield
    processor.has_bf16.cache_clear()


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, False),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_by_the_instructions(
    monkeypatch: pytest.MonkeyPatch, instructions: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert processor.has_bf16() is expected


def test_without_onednn_torch_imitates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not processor.has_bf16()


def test_torch_tells_of_this_processor() -> None:
    """The names are torch's own, so that a renaming there is noticed."""
    known = torch.cpu.get_capabilities()
    if known["architecture"] == "x86_64":
        assert {"avx512_bf16", "amx_bf16"} <= set(known)
