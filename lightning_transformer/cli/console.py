"""Standard output and error that never end a program: a pipe may close, a console lack a character.

Called first by every program of this package, before anything is printed or opened.
"""

import codecs
import logging
import os
import sys
from contextlib import suppress
from typing import Any

SPELT_OUT = "lightning_transformer.spelt_out"  # the name of a handler of encoding errors
RAISING = ("strict", "surrogateescape")  # the latter is what LC_ALL=C gives


# What this package prints itself, so that tables keep their columns and numbers their signs.
PLAIN = {"−": "-", "–": "-", "…": "~", "Δ": "D", "±": "~", "×": "x", "→": ">", "←": "<"}


def _spelt_out(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start]
    if lacking in PLAIN:
        return PLAIN[lacking], error.start + 1
    one = UnicodeEncodeError(
        error.encoding, error.object, error.start, error.start + 1, error.reason
    )
    return codecs.backslashreplace_errors(one)


def write_any_character() -> None:
    r"""Show a character that the console's encoding lacks as `\u03b1`, instead of raising.

    A minus sign, a dash and the like are shown as their nearest ASCII character.

    Where standard output or error is closed, what is written goes nowhere; its file descriptor is
    taken, so that no file that is opened later is written to by mistake.
    """
    codecs.register_error(SPELT_OUT, _spelt_out)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started with >&- or by a service without a console
            number = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, open(number, "w", encoding="utf-8"))  # noqa: SIM115
        elif getattr(stream, "errors", "") in RAISING and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=SPELT_OUT)


def outlive_readers() -> None:
    """Go on without output when nobody reads it any more, such as after `| head -2`.

    A reader that is slow is waited for, also where its pipe was set not to wait.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(OSError, ValueError):  # no file, as under a test or in a notebook
            os.set_blocking(stream.fileno(), True)
        if not isinstance(stream, Outliving):
            setattr(sys, name, Outliving(stream))


def discard(stream: Any) -> None:
    """Let what a stream still holds, and all that is written to it from here on, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_log() -> None:
    """Print the messages of this package as they are, and warnings of others."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("lightning_transformer").setLevel(logging.INFO)


class Outliving:
    """A text stream that writes nowhere once its file cannot be written to: closed, full, gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Let everything from here on, and what is left in the buffer, go nowhere."""
        discard(self._stream)
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
