"""Texts at which writing ends."""

from collections.abc import Iterable, Iterator, Sequence

from lightning_transformer.data.tokenizers.base import Vocabulary

BEFORE = 16  # tokens in front of what is looked at, since decoders drop a space in front


class StopStrings:
    """Whether what a row has written ends here: its text holds one of `strings`.

    What is before the row, such as a prompt, does not count.
    """

    def __init__(self, vocabulary: Vocabulary, strings: Sequence[str]) -> None:
        self.vocabulary, self.strings = vocabulary, tuple(strings)
        # A token has one byte at least.
        self._reach = BEFORE + max((len(s.encode()) for s in self.strings), default=0)

    def __bool__(self) -> bool:
        return bool(self.strings)

    def reached(self, ids: Sequence[int]) -> bool:
        """Whether tokens hold a string, looked at after each token."""
        if not self.strings:
            return False
        text = self.vocabulary.decode(list(ids[-self._reach :]))
        return any(string in text for string in self.strings)


def before_stop(text: str, strings: Iterable[str]) -> str:
    """The text up to the first of the strings in it."""
    return text[: min((at for s in strings if (at := text.find(s)) >= 0), default=len(text))]


def pieces_before_stop(pieces: Iterable[str], strings: Sequence[str]) -> Iterator[str]:
    """Pieces of text up to the first of the strings, each as soon as no string can begin in it."""
    held = ""
    for piece in pieces:
        held += piece
        text = before_stop(held, strings)
        if text != held:
            yield text
            return
        n = max((n for s in strings for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
        yield held[: len(held) - n]
        held = held[len(held) - n :]
    yield held
