"""Where the words of a row of tokens begin."""

import numpy as np

from lightning_transformer.data.tokenizers.base import N_SPECIAL, Vocabulary


class WordBorders:
    """The words of token ids: runs of letters, digits and underscores; other tokens stand alone.

    A token goes on with the word before it if both touch: " the" and "the" of WordPiece begin a
    word, "ing" and "##ing" behind letters do not. Parts of a character count as letters. Learned
    from what each id of a vocabulary adds to a text.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        size = vocabulary.n_text + N_SPECIAL
        self.begins, self.ends = np.zeros((2, size), dtype=bool)
        known = np.flatnonzero(vocabulary.id_bytes[: vocabulary.n_text])
        # Behind a letter, for a decoder may strip a leading space.
        alone = ((i, vocabulary.decode_text(np.array([i]))) for i in known.tolist())
        anchor, before = next(((i, t) for i, t in alone if t.isascii() and t.isalpha()), (-1, ""))
        front = [] if anchor < 0 else [anchor]
        for i in known.tolist():
            added = vocabulary.decode_text(np.array([*front, i]))[len(before) :]
            self.begins[i], self.ends[i] = _in_word(added[:1]), _in_word(added[-1:])

    def words(self, ids: np.ndarray) -> np.ndarray:
        """The number (n,) of the word of each of ids (n,), from 0; special tokens stand alone."""
        starts = np.ones(len(ids), dtype=bool)
        starts[1:] = ~(self.ends[ids[:-1]] & self.begins[ids[1:]])
        return np.cumsum(starts) - 1


def _in_word(character: str) -> bool:
    return character.isalnum() or character in ("_", "\ufffd")
