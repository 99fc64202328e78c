"""Standard output and standard error, for a person at a terminal and for a pipe."""

from __future__ import annotations

import os
import sys
from typing import TextIO

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
# On a terminal control characters in a model's text would be commands: shown as U+2400 etc.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


class Output:
    """Text to standard output, remarks to standard error.

    A terminal gets the prompt dimmed, a header above each of several texts, and no control
    characters; a pipe or file gets the plain text.
    """

    def __init__(self, text: TextIO | None = None, remarks: TextIO | None = None) -> None:
        self._text, self._remarks = text or sys.stdout, remarks or sys.stderr
        self.is_terminal = self._text.isatty()
        self._styled = self.is_terminal and "NO_COLOR" not in os.environ
        # A letter that the terminal lacks becomes "?"; a file is UTF-8 as all files of a run are.
        if hasattr(self._text, "reconfigure"):
            encoding = None if self.is_terminal else "utf-8"
            self._text.reconfigure(encoding=encoding, errors="replace")

    def write(self, piece: str) -> None:
        """Text of the model, shown at once."""
        self._text.write(piece.translate(_PICTURES) if self.is_terminal else piece)
        self._text.flush()

    def prompt(self, text: str) -> None:
        """Text that was given."""
        if self._styled and text:
            self._text.write(f"{DIM}{text.translate(_PICTURES)}{PLAIN}")
            self._text.flush()
        else:
            self.write(text)

    def header(self, text: str) -> None:
        """A title above a text, on a terminal."""
        if self.is_terminal:
            self._text.write(f"{DIM}{text}{PLAIN}\n" if self._styled else f"{text}\n")

    def remark(self, text: str) -> None:
        """One line beside the text."""
        print(text, file=self._remarks, flush=True)
