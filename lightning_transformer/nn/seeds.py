"""Seeds of random numbers that depend on nothing but a place in the computation."""

from hashlib import blake2b, sha256

from torch import Generator


def seed_of(place: str | bytes) -> int:
    """An integer in [0, 2**56) for a place, such as "seed step rank"; equal for equal places."""
    key = place.encode() if isinstance(place, str) else place
    return int.from_bytes(blake2b(key, digest_size=7).digest(), "big")


def named_generator(seed: int, name: str) -> Generator:
    """A generator of one tensor's initial values, so that no other tensor changes them."""
    digest = sha256(f"{seed}:{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
