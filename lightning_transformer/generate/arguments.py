"""The command line of `python -m lightning_transformer.generate`, checked without torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lightning_transformer.cli.exits import OneLineParser
from lightning_transformer.data.files import read_text
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.generate.annotated import FORMATS
from lightning_transformer.generate.run_folder import NAMES
from lightning_transformer.paths import PROGRAM
from lightning_transformer.tasks.predict import SEED, TEMPERATURE, PredictOptions, split_lines

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("fp32", "bf16")
PREDICTION = "prediction"

DESCRIPTION = """\
Use a trained model. What it does with a text depends on what it was trained for:
  causal_lm       continues the text (decoder_only); multi_token likewise
  seq2seq         answers each source with one line (encoder_decoder), greedily by default
  instruct        answers each prompt, greedily by default
  preference      answers each prompt, greedily by default
  masked_lm       fills every [MASK]; with bytes as tokens, one [MASK] is one byte
  classification  prints the likeliest label and its probability
  regression      prints a number
  tagging         prints one word and its tag per line
"""

EPILOG = """\
Examples
  {program} outputs/runs/RUN --prompt "def "
  {program} outputs/runs/RUN --prompt "def " --n-samples 3 --top-k 50 --seed 7
  {program} outputs/runs/RUN --prompt "def " --greedy --max-new-tokens 80
  {program} outputs/runs/RUN --file sources.txt --batch-size 64 > outputs.txt
  {program} outputs/runs/RUN --file sources.txt --n-beams 4 --n-best 2
  {program} outputs/runs/RUN --prompt "def " --draft outputs/runs/SMALL
  {program} outputs/runs/RUN --file reviews.csv --format csv > labelled.csv
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
    precision: str | None = None  # of the weights; None = as the checkpoint has them
    options: PredictOptions = field(default_factory=PredictOptions)
    file: str | None = None  # of --format, whose lines are kept
    format: str | None = None
    name: str = PREDICTION  # of the added key or column
    text_key: str | None = None  # None = the run's
    draft: Path | None = None  # a run that drafts tokens, n_draft at a time
    n_draft: int = 4


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
    parser = OneLineParser(
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
    text = "of weights and cache (default as the checkpoint has them); bf16 rounds them"
    add("--precision", choices=PRECISIONS, help=text)
    number = _number(1, 32)
    add("--batch-size", metavar="N", type=number, default=32, help="texts at once (default 32)")
    _add_format(parser.add_argument_group("files whose lines are kept, with the predictions added"))
    _add_generation(parser.add_argument_group("what causal_lm and seq2seq write"))
    _add_search(parser.add_argument_group("beam search, and drafts by a second model"))
    return parser


def _add_format(group: argparse._ArgumentGroup) -> None:
    """How --file is read, and what is added to it."""
    add = group.add_argument
    text = "of --file: conll gets a column of tags, jsonl a key, csv (also .tsv) a column"
    add("--format", choices=FORMATS, help=text)
    text = f"name of the added key or column (default {PREDICTION})"
    add("--as", dest="name", metavar="NAME", default=PREDICTION, help=text)
    text = "key or column of the text (default that of the run's data, else text)"
    add("--text-key", metavar="KEY", help=text)


def _check_format(given: argparse.Namespace) -> None:
    """Refuse options of --format without it, and what it cannot be used with; ValueError."""
    if given.format is None:
        for option, is_given in (
            ("--as", given.name != PREDICTION),
            ("--text-key", given.text_key),
        ):
            if is_given:
                raise ValueError(f"{option} has no effect without --format, e.g. --format jsonl")
        return
    if given.file in (None, "-"):
        raise ValueError(f"--format={given.format} needs a file: add --file FILE")
    if given.n_samples > 1:
        raise ValueError(f"--n-samples={given.n_samples}: --format adds one prediction to each")
    if given.n_best is not None:
        raise ValueError(f"--n-best={given.n_best}: --format adds one prediction to each")
    if given.scores:
        raise ValueError("--scores: --format adds predictions alone; leave one of the two out")
    if given.format == "conll" and (given.text_key or given.name != PREDICTION):
        option = "--text-key" if given.text_key else "--as"
        raise ValueError(f"{option} has no effect: columns of --format=conll have no names")


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
    text = "draw from tokens of at least P times the probability of the likeliest"
    add("--min-p", metavar="P", type=float, help=text)
    text = "at least 1 (default): lowers the scores of tokens that prompt and text hold, e.g. 1.2"
    add("--repetition-penalty", metavar="R", type=float, default=1.0, help=text)
    text = "end the text before TEXT; may be given several times"
    add("--stop", metavar="TEXT", action="append", default=[], help=text)
    text = "one JSON object per text: its tokens and their log-probability"
    add("--scores", action="store_true", help=text)


def _add_search(group: argparse._ArgumentGroup) -> None:
    """The options of beam search and of speculative decoding."""
    add = group.add_argument
    add("--n-beams", metavar="N", type=_number(2, 4), help="beam search, with N texts kept")
    text = "log p / length^A ranks the texts of --n-beams (default 1)"
    add("--length-penalty", metavar="A", type=float, help=text)
    text = "texts to write per prompt, best first, at most N of --n-beams (default 1)"
    add("--n-best", metavar="N", type=_number(1, 2), help=text)
    text = "a run of the same vocabulary whose faster model drafts tokens, which this one checks"
    add("--draft", metavar="RUN_FOLDER", type=Path, help=text)
    text = "tokens that --draft drafts at a time (default 4)"
    add("--n-draft", metavar="N", type=_number(1, 4), help=text)


def _beams(given: argparse.Namespace) -> Beams | None:
    """Beam search as given; ValueError for options that do not go together."""
    if given.n_draft is not None and given.draft is None:
        raise ValueError(f"--n-draft={given.n_draft} has no effect without --draft RUN_FOLDER")
    if given.n_beams is None:
        for name in ("length_penalty", "n_best"):
            if (value := getattr(given, name)) is not None:
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option}={value} has no effect without --n-beams, e.g. 4")
        return None
    if given.draft is not None:
        raise ValueError("--draft drafts one text, not the beams of --n-beams; leave one out")
    return Beams(
        given.n_beams,
        1.0 if given.length_penalty is None else given.length_penalty,
        given.n_best or 1,
    )


def parse(arguments: Sequence[str]) -> GenerateRequest:
    """Arguments to a request; exits with status 2 and one line if they are wrong.

    Raises ValueError for options that do not go together, and for a file that cannot be read.
    """
    given = make_parser().parse_args(list(arguments))
    _check_format(given)
    texts = None if given.prompt is None else tuple(given.prompt)
    if given.file is not None and given.format is None:
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
        min_p=given.min_p,
        repetition_penalty=given.repetition_penalty,
        stop=tuple(given.stop),
        seed=given.seed,
        n_samples=given.n_samples,
        beams=_beams(given),
        scores=given.scores,
        given=frozenset(a.split("=")[0] for a in arguments if a.startswith("--")),
    )
    options.sampling(TEMPERATURE)
    return GenerateRequest(
        run=given.run,
        texts=texts,
        checkpoint=given.checkpoint,
        trust=tuple(given.trust),
        device=given.device,
        precision=given.precision,
        options=options,
        file=given.file,
        format=given.format,
        name=given.name,
        text_key=given.text_key,
        draft=given.draft,
        n_draft=given.n_draft or 4,
    )


def with_piped(request: GenerateRequest) -> GenerateRequest:
    """The request with what is piped in, if it has no texts; waits for the end of the pipe."""
    if (
        request.texts is not None
        or request.format is not None
        or sys.stdin is None
        or sys.stdin.isatty()
    ):
        return request
    return replace(request, piped=_read_input())


def _read_input() -> str:
    content = sys.stdin.buffer.read() if sys.stdin is not None else b""
    try:
        return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"standard input is not UTF-8 at byte {error.start}") from None
