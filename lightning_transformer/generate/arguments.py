"""The command line of `python -m lightning_transformer.generate`, checked without torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from lightning_transformer.data.files import read_text
from lightning_transformer.generate.run_folder import NAMES
from lightning_transformer.paths import PROGRAM
from lightning_transformer.tasks.predict import SEED, TEMPERATURE, PredictOptions, split_lines

DEVICES = ("auto", "cpu", "cuda")

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

Text goes to standard output, messages to standard error. The same command and seed give
the same text. Without a prompt a decoder reads what is piped in, or starts a new document.
"""


@dataclass(frozen=True)
class GenerateRequest:
    """A run, texts, and how to predict."""

    run: Path
    texts: tuple[str, ...] | None = None  # from --prompt or --file; None = not given
    piped: str | None = None  # all of standard input, read only if there are no texts
    checkpoint: str = "best"
    trust: tuple[str, ...] = ()  # packages whose code the run folder may name
    device: str = "auto"
    options: PredictOptions = field(default_factory=PredictOptions)


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
    add = parser.add_mutually_exclusive_group().add_argument
    add("--prompt", metavar="TEXT", action="append", help="a text; may be given several times")
    add("--file", metavar="FILE", help="a file of texts, one per line; - is standard input")
    add = parser.add_argument
    text = "best (default) by trainer.monitor, usually the validation loss, or last"
    add("--checkpoint", choices=NAMES, default="best", help=text)
    text = "a package whose components the run may name, besides this one and plug-ins"
    add("--trust", metavar="PACKAGE", action="append", default=[], help=text)
    add("--device", choices=DEVICES, default="auto", help="auto (default) is a GPU if there is one")
    number = _number(1, 32)
    add("--batch-size", metavar="N", type=number, default=32, help="texts at once (default 32)")
    _add_generation(parser.add_argument_group("what causal_lm and seq2seq write"))
    return parser


def _add_generation(group: argparse._ArgumentGroup) -> None:
    """The options of tasks that generate text."""
    add = group.add_argument
    number = _number(1, 200)
    add("--max-new-tokens", metavar="N", type=number, default=200, help="at most (default 200)")
    add = group.add_mutually_exclusive_group().add_argument
    text = f"0 is greedy; default {TEMPERATURE} for causal_lm, 0 for seq2seq"
    add("--temperature", metavar="T", type=float, help=text)
    add("--greedy", action="store_true", help="always the likeliest token")
    add = group.add_argument
    add("--top-k", metavar="K", type=int, help="draw from the k likeliest tokens (default all)")
    text = "draw from the likeliest that reach probability p (default 1)"
    add("--top-p", metavar="P", type=float, help=text)
    add("--seed", metavar="N", type=_number(0, 7), help=f"of the draws (default {SEED})")
    text = "per prompt, causal_lm only (default 1)"
    add("--n-samples", metavar="N", type=_number(1, 3), default=1, help=text)


def parse(arguments: Sequence[str]) -> GenerateRequest:
    """Arguments to a request; exits with status 2 and one line if they are wrong.

    Raises ValueError for options that do not go together, and for a file that cannot be read.
    """
    given = make_parser().parse_args(list(arguments))
    texts = None if given.prompt is None else tuple(given.prompt)
    if given.file is not None:
        source = _read_input() if given.file == "-" else read_text(given.file, key="--file")
        if not source:
            raise ValueError(f"--file={given.file} is empty; it must hold one text per line")
        texts = tuple(split_lines(source))
    options = PredictOptions(
        batch_size=given.batch_size,
        max_new_tokens=given.max_new_tokens,
        temperature=0.0 if given.greedy else given.temperature,
        top_k=given.top_k,
        top_p=given.top_p,
        seed=given.seed,
        n_samples=given.n_samples,
        given=frozenset(a.split("=")[0] for a in arguments if a.startswith("--")),
    )
    options.sampling(TEMPERATURE)
    return GenerateRequest(
        run=given.run,
        texts=texts,
        checkpoint=given.checkpoint,
        trust=tuple(given.trust),
        device=given.device,
        options=options,
    )


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
