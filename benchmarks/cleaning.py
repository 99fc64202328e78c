"""What cleaning costs: MB of text per CPU second of each stage, and memory while a file streams.

    python benchmarks/cleaning.py [--mb 100] [--parts 5] [--folder DIR]

The documents are made here, of about 2 kB each: sentences of words drawn with Zipf's law, one
document in ten there twice, one in ten there twice with a word changed. Each stage streams the file
by itself, then all of them do. Memory is that of one process above what it had before, after each
part of the file; a set of digests grows with the documents, everything else should not.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.corpus import words
from lightning_transformer.data.cleaning.base import Stage, in_order
from lightning_transformer.data.cleaning.c4 import C4
from lightning_transformer.data.cleaning.clean import clean
from lightning_transformer.data.cleaning.exact_duplicates import ExactDuplicates
from lightning_transformer.data.cleaning.gopher_quality import STOP_WORDS, GopherQuality
from lightning_transformer.data.cleaning.gopher_repetition import GopherRepetition
from lightning_transformer.data.cleaning.leak_check import LeakCheck
from lightning_transformer.data.cleaning.length import Length
from lightning_transformer.data.cleaning.near_duplicates import NearDuplicates
from lightning_transformer.data.cleaning.spool import Spool
from lightning_transformer.data.cleaning.unicode import Unicode
from lightning_transformer.data.records import Records, split_by_hash
from lightning_transformer.data.split import Record

STAGES: dict[str, Stage] = {
    "unicode": Unicode(),
    "c4": C4(),
    "length": Length(),
    "exact_duplicates": ExactDuplicates(),
    "gopher_quality": GopherQuality(),
    "gopher_repetition": GopherRepetition(),
    "near_duplicates": NearDuplicates(),
    "leak_check": LeakCheck(),
}
LINES, WORDS = 25, 14  # of a document


def write_documents(path: Path, size: float) -> None:
    """A file of so many bytes, a JSON text per line."""
    random, known = np.random.default_rng(3), np.concatenate([np.array(STOP_WORDS), words()])
    with path.open("w") as file:
        while file.tell() < size:
            drawn = known[random.zipf(1.3, 100 * LINES * WORDS) % len(known)]
            for number, document in enumerate(drawn.reshape(100, LINES, WORDS)):
                text = "\n".join(" ".join(line) + "." for line in document)
                file.write(json.dumps(text) + "\n")
                if number % 10 == 0:
                    file.write(json.dumps(text) + "\n")
                if number % 10 == 1:
                    file.write(json.dumps(text.replace(" ", " changed ", 1)) + "\n")


def peak() -> float:
    """The highest memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Watched:
    """The documents of a file, with the memory after each part of it."""

    def __init__(self, path: Path, n_parts: int) -> None:
        self.path, self.size, self.n_parts = path, path.stat().st_size, n_parts
        self.after: list[float] = []

    def __iter__(self) -> Iterator[Record]:
        self.after, done = [], 0
        with self.path.open() as file:
            for line in file:
                yield Record((json.loads(line),))
                done += len(line)
                if done >= self.size * (len(self.after) + 1) / self.n_parts:
                    self.after.append(peak())


def reading(path: Path) -> float:
    """CPU seconds of reading alone, once for each split."""
    cpu, source = time.process_time(), Watched(path, 1)
    for _, records in sorted(split_by_hash(lambda: source, 0.01, 0.01).items()):
        for _ in records:
            pass
    return time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=float, default=100)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--folder", default=None, help="where to write; a temporary folder")
    parser.add_argument("--only", nargs="*", default=None, help="names of stages; all")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        path = folder / "documents.jsonl"
        write_documents(path, args.mb * 1e6)
        source, read = Watched(path, args.parts), reading(path)
        chosen = {name: STAGES[name] for name in args.only or STAGES}
        apart = [{name: stage} for name, stage in chosen.items()] if args.only is None else []
        for stages in [*apart, chosen]:
            before, cpu = peak(), time.process_time()
            splits: dict[str, Records] = split_by_hash(lambda: source, 0.01, 0.01)
            report = clean(in_order(stages), splits, Spool(folder).keep, name="benchmark").report
            spent = time.process_time() - cpu
            counts = report[-1]["splits"].values()
            n_in = sum(of["documents_in"] for of in report[0]["splits"].values())
            n_out = sum(of["documents_out"] for of in counts)
            grown = ", ".join(f"{after - before:.0f}" for after in source.after)
            print(
                f"{'+'.join(stages)}: {args.mb / spent:.1f} MB per CPU second with reading and "
                f"writing ({args.mb / max(spent - read, 1e-9):.1f} without reading); {n_out:,} of "
                f"{n_in:,} documents left; MB above the start after each part: {grown}",
                flush=True,
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
