"""Text from tokens as they come."""

from collections.abc import Iterable

from lightning_transformer.data.tokenizers.base import Vocabulary

BROKEN = "\ufffd"
LONGEST = 3  # bytes of a UTF-8 character before its last one


class TextStream:
    """Gives the text of each token as soon as it is certain, so that characters come out complete.

    A character of several bytes may be spread over several tokens. While the text so far ends in
    U+FFFD, which stands for bytes that are no character, the next token may complete it; the last
    three such marks are held back. All pieces together are the text that decoding all tokens at
    once gives.
    """

    def __init__(self, vocabulary: Vocabulary, prompt: Iterable[int] = ()) -> None:
        self.vocabulary = vocabulary
        # Decoders drop a space in front of the first word: the prompt's end keeps ours from it.
        self._before = list(prompt)[-16:]
        self._pending: list[int] = []
        self._n_given = 0  # characters of the pending tokens

    def push(self, ids: Iterable[int]) -> str:
        """What further tokens add to the text, perhaps nothing yet."""
        self._pending += ids
        text = self._pending_text()
        complete = text.rstrip(BROKEN)
        certain = max(len(complete), len(text) - LONGEST)
        piece = text[self._n_given : certain]
        self._n_given = max(self._n_given, certain)
        if self._pending and complete == text:
            self._before, self._pending, self._n_given = self._pending, [], 0
        return piece

    def end(self) -> str:
        """What was held back; bytes that never became a character are U+FFFD."""
        piece = self._pending_text()[self._n_given :]
        self._before, self._pending, self._n_given = self._before + self._pending, [], 0
        return piece

    def _pending_text(self) -> str:
        known = len(self.vocabulary.decode(self._before))
        return self.vocabulary.decode(self._before + self._pending)[known:]
