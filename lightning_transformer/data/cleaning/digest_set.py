"""A set of 64-bit numbers that takes few bytes for each."""

from array import array

FULL = 0.75
"""Share of places from which on there are twice as many."""


class DigestSet:
    """Numbers in [0, 2**64), kept by open addressing with linear probing.

    Memory: 8 bytes at a share of 3/8 to 3/4 of the places, so 11 to 21 bytes for each number, and
    half as much again while it grows. The numbers must be digests: evenly spread in their low bits.
    """

    def __init__(self) -> None:
        self._places = array("Q", bytes(8 << 10))
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __contains__(self, number: int) -> bool:
        number = number or 1  # 0 is a free place
        return self._places[self._place(number)] == number

    def add(self, number: int) -> bool:
        """Add a number; return whether it is new."""
        number = number or 1
        place = self._place(number)
        if self._places[place] == number:
            return False
        self._places[place] = number
        self.size += 1
        if self.size > FULL * len(self._places):
            self._grow()
        return True

    def _place(self, number: int) -> int:
        """Where the number is, or the free place that it would take."""
        places, last = self._places, len(self._places) - 1
        place = number & last
        while (there := places[place]) and there != number:
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        old, n = self._places, len(self._places)
        self._places = array("Q", [0]) * (2 * n)
        for number in old:
            if number:
                self._places[self._place(number)] = number
