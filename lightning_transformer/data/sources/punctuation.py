"""Which punctuation a sentence had, by its words: real texts with several labels each."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import MultiLabelled
from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.sources.restore import documented_sentences, strip
from lightning_transformer.data.split import ExampleList, Record

MARKS = {
    "apostrophe": "'",
    "brackets": "(",
    "colon": ":",
    "comma": ",",
    "dot within": ".",
    "equals": "=",
    "hyphen": "-",
    "quote": '"',
    "semicolon": ";",
}


def marks_of(sentence: str) -> list[str]:
    """The names, sorted, of the marks in a sentence but for its last character."""
    return [name for name, mark in MARKS.items() if mark in sentence[:-1]]


@dataclass(kw_only=True, eq=False)
class Punctuation(DataModule):
    """Sentences in lower case without punctuation, labelled with the marks that they had.

    The sentences are those of `Restore`. What stands within them counts, not what ends them, and
    many have none. Of sentences with the same words the first one is kept; splits by the hash of
    the words (80/10/10 %). Cut to seq_len tokens.
    """

    name = "punctuation"
    example = MultiLabelled

    bucket_steps: int = 128
    seq_len: int = 128

    def read(self) -> dict[str, list[Record]]:
        """Return the sentences of each split in the order in which they occur; set `labels`."""
        self.labels = list(MARKS)
        found: dict[str, Record] = {}
        for sentence, name in documented_sentences().items():
            words = strip(sentence)
            if words not in found:
                found[words] = Record((words,), marks_of(sentence), document=name)
        return by_first_text((r for r in found.values() if r.texts[0]), 0.1, 0.1)

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        return encode.multi_labelled(split, records, self.vocabulary, self.labels, self.seq_len)
