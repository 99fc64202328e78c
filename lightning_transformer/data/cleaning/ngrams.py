"""Numbers that stand for the n-grams of words of a text."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

WORD = re.compile(r"\w+")
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64


@lru_cache(maxsize=1 << 16)
def _word_number(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def ngram_numbers(texts: Iterable[str], n: int) -> np.ndarray:
    """64 bits for each n-gram of words (k - n + 1,) uint64 in the order of the text of k words.

    Words are runs of letters, digits and underscores in lower case; what stands between them does
    not count. A text of fewer words is one n-gram, the whole. () without words.
    With w_i the digest of word i: sum over i < n of w_i f**(n - 1 - i), modulo 2**64, f odd.
    """
    words = [word for text in texts for word in WORD.findall(text.lower())]
    numbers = np.fromiter(map(_word_number, words), dtype=np.uint64, count=len(words))
    n = min(n, len(numbers))
    if not n:
        return numbers
    total = np.zeros(len(numbers) - n + 1, dtype=np.uint64)
    for first in range(n):
        total *= FACTOR
        total += numbers[first : first + len(total)]
    return total
