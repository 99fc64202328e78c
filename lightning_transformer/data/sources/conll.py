"""Tagged words of the user, from files in columns as in the CoNLL shared tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Tagged
from lightning_transformer.data.files import read_text
from lightning_transformer.data.holdout import by_first_text
from lightning_transformer.data.sources._own_files import OwnFiles
from lightning_transformer.data.split import ExampleList, Record


def sentence(words: Sequence[str], tags: Sequence[str]) -> Record:
    """Join words by single spaces; the note says at which character each word has which tag."""
    note, start = [], 0
    for word, tag in zip(words, tags, strict=True):
        note.append([start, tag])
        start += len(word) + 1
    return Record((" ".join(words),), note)


def read_sentences(path: str, key: str, word_column: int, tag_column: int) -> list[Record]:
    """Read one word per line, sentences separated by blank lines; -DOCSTART- lines are skipped.

    Columns are separated by white space and counted from 0, or from -1 backwards.
    Raises ValueError, with file and line, when a line has too few columns.
    """
    columns = (("data.word_column", word_column), ("data.tag_column", tag_column))
    found: list[Record] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*read_text(path, key=key).split("\n"), ""], start=1):
        fields = line.split()
        if not fields:
            if words:
                found.append(sentence(words, tags))
            words, tags = [], []
        elif fields[0] != "-DOCSTART-":
            for column_key, column in columns:
                if not -len(fields) <= column < len(fields):
                    raise ValueError(
                        f"{path}:{number}: {len(fields)} columns, so {column_key}={column} does "
                        f"not exist; valid are 0 to {len(fields) - 1}"
                    )
            words.append(fields[word_column])
            tags.append(fields[tag_column])
    return found


@dataclass(kw_only=True, eq=False)
class CoNLL(OwnFiles):
    """Sentences with one tag per word; the tag sits on the first token of the word.

    Words are joined by spaces. Equal sentences go to the same split, by their hash. val_path and
    test_path, if given, take the place of the fraction of that split; a fraction of 0 without such
    a path: there is no such split. The tags are those of the training split in sorted order.
    Longer sentences are cut to seq_len tokens, which the log counts.

    path, val_path, test_path: files. word_column, tag_column: from 0, or from -1 backwards.
    Fractions are in [0, 1). seq_len: tokens without special ones.
    Raises ValueError for missing columns and for tags that the training split lacks.
    """

    name = "conll"
    example = Tagged

    word_column: int = 0
    tag_column: int = -1

    def read(self) -> dict[str, list[Record]]:
        """Return the sentences of each split in the order of the files, and set `labels`."""
        columns = (self.word_column, self.tag_column)
        sentences = read_sentences(self.path, "data.path", *columns)
        records = by_first_text(sentences, *self.fractions)
        for split, path in self.held_out.items():
            records[split] = read_sentences(path, f"data.{split}_path", *columns)
        self.labels = sorted({tag for record in records["train"] for _, tag in record.note})
        return records

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        numbers = {tag: number for number, tag in enumerate(self.labels)}
        tagged = []
        for record in records:
            ids, tags, _ = encode.tag_tokens(split, record, self.vocabulary, numbers)
            tagged.append(Tagged(ids, tags))
        return encode.tagged_split(encode.truncate_tagged(split, tagged, self.seq_len))
