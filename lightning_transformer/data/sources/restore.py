"""Restoring case and punctuation of English sentences: real pairs without a download."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.base import DataModule
from lightning_transformer.data.examples import Pair
from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.sources import _stdlib
from lightning_transformer.data.split import ExampleList, Record

WORDS = range(5, 41)
_PARAGRAPHS = re.compile(r"\n\s*\n")
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_NOT_PROSE = re.compile(r">>>|\||[-=*_~]{2}")
_PUNCTUATION = re.compile(r"[^\w\s]")


def strip(sentence: str) -> str:
    """Return a sentence in lower case without punctuation, its words separated by one space.

    Punctuation is every character that is neither white space nor of a word, that is a letter,
    digit or underscore; "Don't (ever) sub-class os.path!" gives "dont ever subclass ospath".
    """
    return " ".join(_PUNCTUATION.sub("", sentence.lower()).split())


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of 5 to 40 words that start with a capital and end in . ! or ?."""
    for paragraph in _PARAGRAPHS.split(text):
        for sentence in _SENTENCES.split(" ".join(paragraph.split())):
            proper = sentence[:1].isupper() and sentence[-1] in ".!?"
            if proper and len(sentence.split()) in WORDS and not _NOT_PROSE.search(sentence):
                yield sentence


def documented_sentences() -> dict[str, str]:
    """Each sentence of Python's language reference and docstrings: the first document with it."""
    texts = [(f"topics/{name}", text) for name, text in _stdlib.topics().items()]
    for name, strings in _stdlib.docstrings().items():
        texts += [(name, text) for text in strings]
    first: dict[str, str] = {}
    for name, text in texts:
        for sentence in sentences(text):
            first.setdefault(sentence, name)
    return first


@dataclass(kw_only=True, eq=False)
class Restore(DataModule):
    """Pairs (lower-cased sentence without punctuation, original sentence).

    The sentences are those of Python's language reference and of the docstrings of its standard
    library, each once. All with the same source go to the same split, by its hash (90/5/5 %).
    Pairs of more than seq_len tokens on either side are left out and counted in the log.

    seq_len: most tokens of source and of target, without special tokens.
    """

    name = "restore"
    example = Pair

    bucket_steps: int = 128
    seq_len: int = 64

    def read(self) -> dict[str, list[Record]]:
        """Return the pairs of each split in the order in which their sentences first occur."""
        first = documented_sentences()
        pairs = [Record((strip(text), text), document=name) for text, name in first.items()]
        return by_first_text((pair for pair in pairs if pair.texts[0]), 0.05, 0.05)

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        pairs = encode.pairs(records, self.vocabulary)
        kept = encode.short_pairs(split, pairs, self.seq_len)
        of = encode.document_numbers(records)
        return encode.example_split([pairs[i] for i in kept], [of[i] for i in kept])
