"""What decoding remembers."""

import pytest
import torch

from lightning_transformer.nn.cache import KVCache, StackCache
from tests.conftest import noise


def test_appends_in_order_up_to_its_capacity() -> None:
    k, v, cache = noise(2, 3, 5, 4), noise(2, 3, 5, 4, seed=1), KVCache(5)
    for start, end in ((0, 2), (2, 3), (3, 5)):
        keys, values = cache.append(k[:, :, start:end], v[:, :, start:end])
        assert torch.equal(keys, k[:, :, :end])
        assert torch.equal(values, v[:, :, :end])
        assert cache.length == end
    assert all(torch.equal(a, b) for a, b in zip(cache.view(), (k, v), strict=True))


def test_keys_and_values_may_differ_in_heads_and_width() -> None:
    k, v, cache = noise(2, 1, 5, 4), noise(2, 3, 5, 6, seed=1), KVCache(5)
    cache.append(k[:, :, :2], v[:, :, :2])
    keys, values = cache.append(k[:, :, 2:], v[:, :, 2:])
    assert torch.equal(keys, k)
    assert torch.equal(values, v)


def test_overflow_is_a_bug_of_the_caller() -> None:
    cache = KVCache(2)
    with pytest.raises(AssertionError, match="3 tokens in a cache for 2"):
        cache.append(noise(1, 1, 3, 2), noise(1, 1, 3, 2))


def test_keeps_the_dtype_that_it_is_given() -> None:
    cache = KVCache(2)
    keys, _ = cache.append(noise(1, 1, 1, 2).bfloat16(), noise(1, 1, 1, 2).bfloat16())
    assert keys.dtype == torch.bfloat16


def test_padding_is_none_as_long_as_there_is_none() -> None:
    assert StackCache([], 8).extend_padding(None, 3, 4) is None


def test_padding_is_remembered() -> None:
    cache = StackCache([], 8)
    first = torch.tensor([[True, False], [False, False]])
    assert torch.equal(cache.extend_padding(first, 2, 2), first)
    cache.advance(2)
    later = cache.extend_padding(None, 2, 1)
    assert later.tolist() == [[True, False, False], [False, False, False]]


def test_padding_may_begin_late() -> None:
    cache = StackCache([], 8)
    cache.advance(2)
    later = cache.extend_padding(torch.tensor([[True]]), 1, 1)
    assert later.tolist() == [[False, False, True]]


def test_length_counts_the_tokens_that_were_stored() -> None:
    cache = StackCache([], 8)
    assert cache.length == 0
    cache.advance(2)
    cache.advance(1)
    assert cache.length == 3
