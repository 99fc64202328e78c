"""Token ids as a person can read them: one short text for each token."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len

from lightning_transformer.data.tokenizers.base import Vocabulary

SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[MASK]", "[CLS]", "[UNK]")
LONGEST_CHARACTER = 4  # bytes of UTF-8


@dataclass(frozen=True)
class Signs:
    """What stands for what cannot be seen, in letters of the console's encoding.

    ignored: a place without a target. border: between documents. follows: a token whose character
    is shown at the one before. bars: eighths of a block, of a histogram.
    """

    space: str = "␣"
    line: str = "↵"
    tab: str = "⇥"
    ignored: str = "·"
    border: str = "│"
    follows: str = "‥"
    dash: str = "–"
    bars: str = " ▏▎▍▌▋▊▉█"
    encoding: str = "utf-8"

    def show(self, text: str) -> str:
        """Text in which each character can be seen; it is never empty."""
        shown = "".join(map(self._show_one, text))
        shown = shown.encode(self.encoding, errors="backslashreplace").decode(self.encoding)
        return shown if cell_len(shown) else f"<{' '.join(f'{ord(c):x}' for c in text)}>"

    def _show_one(self, character: str) -> str:
        known = {" ": self.space, "\n": self.line, "\t": self.tab}
        if character in known:
            return known[character]
        hidden = unicodedata.category(character)[0] in "CZ"  # controls, formats, other spaces
        return character.encode("unicode_escape").decode() if hidden else character


PLAIN = Signs("_", "\\n", "\\t", ".", "|", "~", "-", "    #####", "ascii")


def signs_for(encoding: str | None) -> Signs:
    """The signs of a console, or plain letters where it lacks some of them."""
    signs = Signs(encoding=encoding or "ascii")
    try:
        "".join((signs.space, signs.line, signs.tab, signs.follows, signs.bars)).encode(
            signs.encoding
        )
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return signs


def readable(ids: Sequence[int] | np.ndarray, vocabulary: Vocabulary, signs: Signs) -> list[str]:
    """A text for each of ids (n,); for one below 0, which is no token, the sign of ignored places.

    A character of several tokens is shown at the first of them; a part of one alone as its number.
    """
    ids = np.asarray(ids, dtype=np.int64)
    found: list[str] = []
    while len(found) < len(ids):
        at = len(found)
        number = int(ids[at])
        if number < 0:
            found.append(signs.ignored)
        elif number >= vocabulary.n_text:
            found.append((*SPECIAL, *vocabulary.marks)[number - vocabulary.n_text])
        else:
            found += _text(ids[at : at + LONGEST_CHARACTER], vocabulary, signs)
    return found


def _text(ids: np.ndarray, vocabulary: Vocabulary, signs: Signs) -> list[str]:
    """The text of the first of ids, with as many behind it as it needs to be one."""
    text = vocabulary.token_text(int(ids[0]))
    if "\ufffd" not in text and text:
        return [signs.show(text)]
    for n in range(2, len(ids) + 1):
        if not 0 <= ids[n - 1] < vocabulary.n_text:
            break
        text = vocabulary.decode_text(ids[:n])
        if "\ufffd" not in text:
            return [signs.show(text), *[signs.follows] * (n - 1)]
    return [f"<{ids[0]}>"]
