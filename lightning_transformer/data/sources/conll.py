"""Tagged words of the user, from files in columns as in the CoNLL shared tasks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.files import matching_files
from lightning_transformer.data.formats.tagged_columns import tagged_sentences
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import ExampleList, Record
from lightning_transformer.data.windows import windowed_split


def sentence(words: Sequence[str], tags: Sequence[str], document: str | None = None) -> Record:
    """Join words by single spaces; the note says at which character each word has which tag."""
    note, start = [], 0
    for word, tag in zip(words, tags, strict=True):
        note.append([start, tag])
        start += len(word) + 1
    return Record((" ".join(words),), note, document)


@dataclass(kw_only=True, eq=False)
class CoNLL(OwnFiles):
    """Sentences with one tag per word; the tag sits on the first token of the word.

    Columns are separated by tabs where a line has one, else by white space; comments, ranges and
    empty nodes of CoNLL-U are left out, see `tagged_sentences`. Words are joined by spaces. Equal
    sentences go to the same split, by their hash. val_path and test_path, if given, take the place
    of the fraction of that split; a fraction of 0 without such a path: there is no such split. The
    tags are those of the training split in sorted order. In training, longer sentences are cut to
    seq_len tokens; elsewhere they are read in windows that overlap, each word in the one where it
    has most context. The log counts them.

    path, val_path, test_path: files, or patterns. word_column, tag_column: from 0, or from -1
    backwards. Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for missing columns and for tags that the training split lacks.
    """

    name = "conll"
    example = Tagged

    bucket_steps: int = 128
    cache_gb: float = 100.0
    cleaning: dict | None = None
    word_column: int = 0
    tag_column: int = -1

    def _sentences(self, path: str, key: str) -> Iterator[Record]:
        columns = {"word_column": self.word_column, "tag_column": self.tag_column}
        for file in matching_files(path, key=key):
            for found in tagged_sentences(str(file), key=key, **columns):
                yield sentence(*found)

    def read(self) -> dict[str, Records]:
        """Return the sentences of each split in the order of the files, and set `labels`."""
        records = split_by_hash(partial(self._sentences, self.path, "data.path"), *self.fractions)
        for split, path in self.held_out.items():
            records[split] = Records(partial(self._sentences, path, f"data.{split}_path"))
        self.labels = sorted({tag for record in records["train"] for _, tag in record.note})
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        numbers = {tag: number for number, tag in enumerate(self.labels)}
        tagged = []
        for record in records:
            ids, tags, _ = encode.tag_tokens(split, record, self.vocabulary, numbers)
            tagged.append(Tagged(ids, tags))
        if split != "train":
            return windowed_split(split, tagged, records, self.seq_len)
        cut = encode.truncate_tagged(split, tagged, self.seq_len)
        return encode.example_split(cut, encode.document_numbers(records))
