"""How far the encoding of a text is, said every few seconds."""

import logging
import time

log = logging.getLogger(__name__)
EVERY = 10.0  # seconds


class Progress:
    """Says what is encoded, how far it is, how fast, and how long it still takes.

    what: for example "train split". total: bytes of text, of which some may be done already.
    """

    def __init__(self, what: str, total: int, done: int = 0) -> None:
        self.what, self.total, self.done = what, total, done
        self._began, self._before = time.monotonic(), done
        self._said = self._began

    def add(self, n_bytes: int) -> None:
        self.done += n_bytes
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            log.info("%s", self.line(now - self._began))

    def line(self, seconds: float) -> str:
        """encoding train split: 120 of 900 MB, 2.1 MB/s, 6:12 left"""
        speed = (self.done - self._before) / seconds
        left = int(max(0, self.total - self.done) / speed) if speed else 0
        return (
            f"encoding {self.what}: {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB, "
            f"{speed / 1e6:.1f} MB/s, {left // 60}:{left % 60:02} left"
        )
