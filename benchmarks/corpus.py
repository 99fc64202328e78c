"""What large text costs: encoding it once, the starts after that, and memory above the imports.

    python benchmarks/corpus.py [--bpe-mb 100] [--bytes-gb 1] [--pairs 200000] [--text FILE]
        [--folder DIR]

The files are made here, of words drawn with Zipf's law; every second text has a full stop at the
end of each line. The lengths of sentence pairs are log-normal, mean 16 words. --text: a text of
one's own for BPE in their place. 0 of a kind leaves it out. Each number is of a process of its own;
memory is that which no file backs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

LETTERS = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
LINE = 12  # words


def words(n: int = 50_000) -> np.ndarray:
    """Words of 2 to 10 letters, frequent letters more often."""
    random = np.random.default_rng(1)
    shares = 1 / np.arange(2, 28)
    drawn = random.choice(LETTERS, size=(n, 10), p=shares / shares.sum())
    lengths = random.integers(2, 11, n)
    return np.array(["".join(row[:k]) for row, k in zip(drawn, lengths, strict=True)])


def write_text(path: Path, size: float, end: str) -> None:
    """A file of so many bytes of lines that end in `end`."""
    random, known = np.random.default_rng(2), words()
    with path.open("w") as file:
        while file.tell() < size:
            chosen = known[random.zipf(1.2, 16_000 * LINE) % len(known)].reshape(-1, LINE)
            file.write("".join(" ".join(row) + end for row in chosen))


def write_pairs(folder: Path, n: int) -> tuple[Path, Path]:
    """Two files of n lines, of which one is about as long as the other."""
    random, known = np.random.default_rng(3), words()
    means = random.lognormal(2.6, 0.5, n)
    sides = folder / "source.txt", folder / "target.txt"
    for path in sides:
        lengths = np.maximum(1, means * random.normal(1, 0.1, n)).astype(int)
        chosen = known[random.zipf(1.2, lengths.sum()) % len(known)]
        parts = np.split(chosen, np.cumsum(lengths)[:-1])
        path.write_text("".join(" ".join(part) + ".\n" for part in parts))
    return sides


def write_bytes(path: Path, size: float) -> None:
    """A file of so many bytes: one block over and over."""
    write_text(path, 2e7, ".\n")
    block = path.read_bytes()
    with path.open("wb") as file:
        for _ in range(round(size / len(block))):
            file.write(block)


def anonymous() -> float:
    """MB of memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3


class Peak:
    """Within, looks at the memory of this process again and again; `above`: MB more than before."""

    def __enter__(self) -> "Peak":
        self.before = self.highest = anonymous()
        self.done = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()
        return self

    def watch(self) -> None:
        while not self.done.wait(0.02):
            self.highest = max(self.highest, anonymous())

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.highest = max(self.highest, anonymous())

    @property
    def above(self) -> float:
        return self.highest - self.before


def measure(path: str, tokenizer: str) -> dict[str, float]:
    """Prepare data=text and take one batch; what this cost."""
    from lightning_transformer.data.packing.stream import Stream
    from lightning_transformer.data.sources.text import Text
    from lightning_transformer.data.tokenizers.bpe import BPE
    from lightning_transformer.data.tokenizers.bytes import Bytes
    from lightning_transformer.tasks.causal_lm import NextToken

    cpu, wall = time.process_time(), time.perf_counter()
    option = BPE(vocab_size=8000) if tokenizer == "bpe" else Bytes()
    with Peak() as peak:
        data = Text(path=path, tokenizer=option, packing=Stream())
        data.prepare()
        prepared = time.perf_counter() - wall
        data.connect({"train": NextToken(data.vocabulary.pad_id)}, 1, 1)
        next(iter(data.train_dataloader()))
    spent, first = time.process_time() - cpu, time.perf_counter() - wall
    with open(path, encoding="utf-8") as file:
        text = file.read(8_000_000)
    cpu = time.process_time()
    data.vocabulary.encode(text)
    return {
        "cpu": spent,
        "encoding": len(text.encode()) / 1e6 / (time.process_time() - cpu),
        "prepared": prepared,
        "first": first,
        "peak": peak.above,
    }


def measure_pairs(source: str, target: str) -> dict[str, float]:
    """Prepare data=parallel and count the pads of 100 steps at batch 64; what this cost."""
    from lightning_transformer.data.sources.parallel import ParallelText
    from lightning_transformer.data.tokenizers.bpe import BPE
    from lightning_transformer.tasks.seq2seq import TeacherForcing

    cpu = time.process_time()
    with Peak() as peak:
        option = BPE(vocab_size=8000)
        data = ParallelText(source=source, target=target, tokenizer=option, batch_size=64)
        data.prepare()
    spent, kept = time.process_time() - cpu, anonymous() - peak.before
    v = data.vocabulary
    data.connect({"train": TeacherForcing(v.bos_id, v.eos_id, v.pad_id)}, 1, 1)
    pads = all_places = 0
    for batch, _ in zip(data.train_dataloader(), range(100), strict=False):
        for ids in (batch.source_ids, batch.input_ids):
            pads += int((ids == v.pad_id).sum())
            all_places += ids.numel()
    return {
        "n": sum(len(split) for split in data.splits.values()),
        "tokens": sum(split.n_tokens for split in data.splits.values()),
        "cpu": spent,
        "peak": peak.above,
        "kept": kept,
        "padding": pads / all_places,
    }


def measured(cache: Path, *what: object) -> dict[str, float]:
    """A measurement in a process of its own: bpe or bytes and a file, or pairs and two."""
    command = [sys.executable, __file__, "--measure", *map(str, what)]
    environment = {**os.environ, "LIGHTNING_TRANSFORMER_CACHE": str(cache)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def report_bpe(text: Path, cache: Path, about: str) -> None:
    size = text.stat().st_size / 1e6
    first, again = (measured(cache, "bpe", text) for _ in range(2))
    print(
        f"bpe, {size:.0f} MB, {about}: learned and encoded at {size / first['cpu']:.2f} MB per CPU "
        f"second (encoding alone {first['encoding']:.2f}), at most {first['peak']:.0f} MB above "
        f"the imports; second start {again['prepared']:.2f} s",
        flush=True,
    )


def report_bytes(text: Path, cache: Path) -> None:
    first, again = (measured(cache, "bytes", text) for _ in range(2))
    print(
        f"bytes, {text.stat().st_size / 1e9:.2f} GB: first start {first['first']:.1f} s, second "
        f"{again['first']:.2f} s to the first batch; at most {first['peak']:.0f} and "
        f"{again['peak']:.0f} MB above the imports",
        flush=True,
    )


def report_pairs(sides: tuple[Path, Path], cache: Path) -> None:
    first, again = (measured(cache, "pairs", *sides) for _ in range(2))
    n = first["n"]
    print(
        f"pairs, {n:.0f} with {first['tokens'] / n:.0f} tokens each: {first['cpu'] / n * 1e6:.0f} "
        f"CPU microseconds a pair; beside what is mapped, the ids among it, "
        f"{first['kept'] * 1e6 / n:.0f} bytes each stay in memory after the first start (at most "
        f"{first['peak'] * 1e6 / n:.0f} meanwhile) and {again['kept'] * 1e6 / n:.0f} after the "
        f"second; padding {first['padding']:.1%} at batch 64",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bpe-mb", type=float, default=100)
    parser.add_argument("--bytes-gb", type=float, default=1)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--text", type=Path, help="a text of one's own for BPE")
    parser.add_argument("--folder", default=None, help="where to write; a temporary folder")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        kind, *paths = args.measure
        print(json.dumps(measure_pairs(*paths) if kind == "pairs" else measure(*paths, kind)))
        return
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        if args.text is not None:
            report_bpe(args.text, folder / "cache0", args.text.name)
        for end in ("\n", ".\n") if args.bpe_mb and args.text is None else ():
            write_text(folder / "text.txt", args.bpe_mb * 1e6, end)
            report_bpe(folder / "text.txt", folder / f"cache{len(end)}", f"lines end in {end!r}")
        if args.bytes_gb:
            write_bytes(folder / "bytes.txt", args.bytes_gb * 1e9)
            report_bytes(folder / "bytes.txt", folder / "cache3")
            (folder / "bytes.txt").unlink()
        if args.pairs:
            report_pairs(write_pairs(folder, args.pairs), folder / "cache4")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
