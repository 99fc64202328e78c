"""Prompts of the user with a better and a worse answer each, from three keys or columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_transformer.data import encode
from lightning_transformer.data.examples import Preference
from lightning_transformer.data.records import Records
from lightning_transformer.data.sources._own_rows import OwnRows
from lightning_transformer.data.split import ExampleList, Record


@dataclass(kw_only=True, eq=False)
class Preferences(OwnRows):
    """Prompts with two answers from .jsonl, .json, .csv, .tsv, .parquet or .arrow files.

    How they are split: see `OwnRows`, by the prompt. White space stays as it is. A row whose prompt
    and longer answer have more than seq_len tokens is left out, and counted in the log, never cut.

    path, val_path, test_path: files, or patterns. prompt_key, chosen_key, rejected_key: their keys
    or columns; a.b is b within a. Fractions are in [0, 1). seq_len: tokens of a prompt and an
    answer together, without special ones.
    Raises ValueError for malformed files, missing keys, an empty prompt or answer, answers that are
    equal, and where no row is short enough.
    """

    name = "preferences"
    example = Preference

    bucket_steps: int = 128
    prompt_key: str = "prompt"
    chosen_key: str = "chosen"
    rejected_key: str = "rejected"

    def make_record(self, place: str, values: tuple[str, ...]) -> Record | None:
        keys = (self.prompt_key, self.chosen_key, self.rejected_key)
        for key, value in zip(keys, values, strict=True):
            if not value.strip():
                raise ValueError(
                    f"{place}: {key} is empty; write a text there, or take the row out"
                )
        if values[1] == values[2]:
            raise ValueError(
                f"{place}: {keys[1]} and {keys[2]} are the same text, which prefers nothing; write "
                "two answers that differ, or take the row out"
            )
        return Record(values)

    def read(self) -> dict[str, Records]:
        """Return the rows of each split in their order."""
        return self.read_keys((self.prompt_key, self.chosen_key, self.rejected_key))

    def encode(self, split: str, records: Sequence[Record]) -> ExampleList:
        found = encode.preferences(records, self.vocabulary)
        return short_preferences(split, found, self.seq_len)


def short_preferences(split: str, examples: Sequence[Preference], seq_len: int) -> ExampleList:
    """A split of those whose prompt and longer answer have at most seq_len tokens together.

    How many have more is logged. Raises ValueError where all have.
    """
    lengths = [len(e.prompt) + max(len(e.chosen), len(e.rejected)) for e in examples]
    kept = [e for e, n in zip(examples, lengths, strict=True) if n <= seq_len]
    encode.TooLong(split, seq_len).add(*lengths).say(len(examples), "dropped")
    if not kept:
        raise ValueError(
            f"{split} split has no prompt that fits with its answers within data.seq_len={seq_len} "
            f"tokens; raise it, for example to {min(lengths, default=192)}"
        )
    return encode.example_split(kept)
