"""The command line of `python -m lightning_transformer.generate`, checked without torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from lightning_transformer.data.files import read_text
from lightning_transformer.decoding.sampling import Sampling
from lightning_transformer.generate.run_folder import NAMES
from lightning_transformer.paths import PROGRAM

DEVICES = ("auto", "cpu", "cuda")
TEMPERATURE = 0.8  # of a decoder, unless it is given
SEED = 1
# Options that mean nothing where no text is generated.
WRITING = (
    "--max-new-tokens",
    "--temperature",
    "--greedy",
    "--top-k",
    "--top-p",
    "--seed",
    "--n-samples",
)

DESCRIPTION = """\
Use a trained model. What it does with a text depends on what it was trained for:
  causal_lm       continues the text (decoder_only); multi_token likewise
  seq2seq         answers each source with one line (encoder_decoder), greedily by default
  masked_lm       fills every [MASK]; with bytes as tokens, one [MASK] is one byte
  classification  prints the likeliest label and its probability
  tagging         prints one word and its tag per line
"""

EPILOG = """\
Examples
  {program} outputs/runs/RUN --prompt "def "
  {program} outputs/runs/RUN --prompt "def " --n-samples 3 --top-k 50 --seed 7
  {program} outputs/runs/RUN --prompt "def " --greedy --max-new-tokens 80
  {program} outputs/runs/RUN --file sources.txt --batch-size 64 > outputs.txt
  {program} outputs/runs/RUN --prompt "The [MASK][MASK][MASK] statement"
  cat story.txt | {program} outputs/runs/RUN

Text goes to standard output, everything else to standard error. The same command and seed give
the same text. Without a prompt a decoder reads what is piped in, or starts a new document.
"""


@dataclass(frozen=True)
class GenerateRequest:
    """What was asked for; None = not given, so that an answer can tell and choose its default."""

    run: Path
    texts: tuple[str, ...] | None = None  # from --prompt or --file
    piped: str | None = None  # all of standard input, read only if there are no texts
    checkpoint: str = "best"
    trust: tuple[str, ...] = ()  # packages whose code the run folder may name
    device: str = "auto"
    batch_size: int = 32
    max_new_tokens: int = 200
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    n_samples: int = 1
    typed: frozenset[str] = field(default_factory=frozenset)  # options on the command line

    def lines(self) -> list[str]:
        """The texts, or the lines of standard input. Raises ValueError if there are none."""
        texts = _lines(self.piped) if self.texts is None and self.piped else self.texts
        if not texts:
            raise ValueError('nothing to read: give --prompt "...", --file FILE, or pipe lines in')
        return [text.strip() for text in texts]

    def sampling(self, temperature: float) -> Sampling:
        """How to draw, with the temperature to take if none was given."""
        chosen = temperature if self.temperature is None else self.temperature
        if chosen == 0 and self.seed is not None:
            raise ValueError(
                f"seed={self.seed} has no effect on greedy decoding; set --temperature, e.g. 0.8"
            )
        return Sampling(chosen, self.top_k, self.top_p)

    def refuse(self, what: str, *options: str) -> None:
        """Raise ValueError if one of the options was typed: it would have no effect."""
        for option in options:
            if option in self.typed:
                raise ValueError(f"{option} has no effect: {what}; leave it out")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage."""
        self.exit(2, f"error: {message} (--help shows all options)\n")


def _number(least: int, example: int) -> Callable[[str], int]:
    """A whole number from `least` on, as an argparse type."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} must be a whole number, at least {least}, e.g. {example}"
            )
        return value

    return convert


def make_parser() -> argparse.ArgumentParser:
    """The options, each with its default in the help."""
    program = f"{PROGRAM}.generate"
    parser = _Parser(
        prog=program,
        usage=f"{program} RUN_FOLDER [options]",
        description=DESCRIPTION,
        epilog=EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", metavar="RUN_FOLDER", type=Path, help="folder of a run, such as outputs/runs/RUN")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--prompt", metavar="TEXT", action="append", help="a text; may be given several times"
    )
    given.add_argument(
        "--file", metavar="FILE", help="a file of texts, one per line; - is standard input"
    )
    add(
        "--checkpoint", choices=NAMES, default="best", help="best validation loss (default) or last"
    )
    add(
        "--trust",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="a package whose components the run may name, besides this one and plug-ins",
    )
    add("--device", choices=DEVICES, default="auto", help="auto (default) is a GPU if there is one")
    add(
        "--batch-size",
        metavar="N",
        type=_number(1, 32),
        default=32,
        help="texts at once (default 32)",
    )

    write = parser.add_argument_group("what causal_lm and seq2seq write")
    add = write.add_argument
    add(
        "--max-new-tokens",
        metavar="N",
        type=_number(1, 200),
        default=200,
        help="at most (default 200)",
    )
    how = write.add_mutually_exclusive_group()
    how.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        help=f"0 is greedy; default {TEMPERATURE} for causal_lm, 0 for seq2seq",
    )
    how.add_argument("--greedy", action="store_true", help="always the likeliest token")
    add("--top-k", metavar="K", type=int, help="draw from the k likeliest tokens (default all)")
    add(
        "--top-p",
        metavar="P",
        type=float,
        help="draw from the likeliest that reach probability p (default 1)",
    )
    add("--seed", metavar="N", type=_number(0, 7), help=f"of the draws (default {SEED})")
    add(
        "--n-samples",
        metavar="N",
        type=_number(1, 3),
        default=1,
        help="per prompt, causal_lm only (default 1)",
    )
    return parser


def parse(arguments: Sequence[str]) -> GenerateRequest:
    """Arguments to a request; exits with status 2 and one line if they are wrong.

    Raises ValueError for options that do not go together, and for a file that cannot be read.
    """
    given = make_parser().parse_args(list(arguments))
    texts = None if given.prompt is None else tuple(given.prompt)
    if given.file is not None:
        source = _read_input() if given.file == "-" else read_text(given.file, key="--file")
        texts = tuple(_lines(source or ""))
        if not texts:
            raise ValueError(f"--file={given.file} is empty; it must hold one text per line")
    request = GenerateRequest(
        run=given.run,
        texts=texts,
        checkpoint=given.checkpoint,
        trust=tuple(given.trust),
        device=given.device,
        batch_size=given.batch_size,
        max_new_tokens=given.max_new_tokens,
        temperature=0.0 if given.greedy else given.temperature,
        top_k=given.top_k,
        top_p=given.top_p,
        seed=given.seed,
        n_samples=given.n_samples,
        typed=frozenset(a.split("=")[0] for a in arguments if a.startswith("--")),
    )
    request.sampling(TEMPERATURE)
    return request


def with_piped(request: GenerateRequest) -> GenerateRequest:
    """The request with what is piped in, if it has no texts; waits for the end of the pipe."""
    if request.texts is not None or sys.stdin is None or sys.stdin.isatty():
        return request
    return replace(request, piped=_read_input())


def _read_input() -> str:
    content = sys.stdin.buffer.read() if sys.stdin is not None else b""
    try:
        return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"standard input is not UTF-8 at byte {error.start}") from None


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []
