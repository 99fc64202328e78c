"""A pseudo-random permutation computed place by place, so that no order is kept in memory."""

import math

import numpy as np

ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(x: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of splitmix64; Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _keys(seed: int, epoch: int) -> np.ndarray:
    """One 64-bit integer per round: a pure function of (seed, epoch)."""
    rounds = np.arange(1, ROUNDS + 1, dtype=np.uint64)
    state: np.ndarray = np.full(1, seed, dtype=np.uint64)
    state = mix(mix(state + GOLDEN) ^ np.uint64(epoch))
    return mix(state + rounds * GOLDEN)


def _below(x: np.ndarray, key: np.uint64, limit: np.uint64) -> np.ndarray:
    """Scramble x into [0, limit), limit below 2**32."""
    return ((mix(x ^ key) >> np.uint64(32)) * limit) >> np.uint64(32)


EXACT = 1 << 16
"""Up to so many examples all orders are equally likely: a list of them takes 0.5 MB at most."""


def visited(places: np.ndarray, seed: int, epoch: int, n: int) -> np.ndarray:
    """Return which of n examples pass `epoch` visits at places (k,) in [0, n), int64.

    A pure function of its arguments. Up to `EXACT` examples a uniformly drawn order; a network
    of few values would prefer some. Above, `permuted`, which needs no memory for an order.
    """
    if n <= EXACT:
        order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(n)
        return order[places]
    return permuted(places, seed, epoch, n)


def permuted(places: np.ndarray, seed: int, epoch: int, n: int) -> np.ndarray:
    """Return the values (k,) below n of a pseudo-random permutation at places (k,), int64.

    A Feistel network over pairs (l, r) with l < a, r < b and a b >= n (Black and Rogaway 2002):
        l <- (l + f_1(r)) mod a, then r <- (r + f_2(l)) mod b, and so on
    Each round can be undone, so that all of them permute the pairs. A value that comes out at n or
    above goes through again until it is below, so that the numbers below n are permuted.
    seed in [0, 2**63). Memory is that of the result, whatever n is, up to 2**62.
    """
    a = np.uint64(math.isqrt(max(n - 1, 0)) + 1)
    b = np.uint64(-(-n // int(a)))
    keys, found = _keys(seed, epoch), places.astype(np.uint64)
    open_ = np.arange(len(found))
    while len(open_):
        r, left = np.divmod(found[open_], a)
        for number in range(0, ROUNDS, 2):
            left = (left + _below(r, keys[number], a)) % a
            r = (r + _below(left, keys[number + 1], b)) % b
        values = r * a + left
        found[open_] = values
        open_ = open_[values >= np.uint64(n)]
    return found.astype(np.int64)
