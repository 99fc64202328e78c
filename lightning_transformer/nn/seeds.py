"""Seeds of random numbers that depend on nothing but a place in the computation."""

from hashlib import blake2b


def seed_of(place: str | bytes) -> int:
    """An integer in [0, 2**56) for a place, such as "seed step rank"; equal for equal places."""
    key = place.encode() if isinstance(place, str) else place
    return int.from_bytes(blake2b(key, digest_size=7).digest(), "big")
