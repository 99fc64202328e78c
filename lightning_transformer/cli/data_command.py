"""`python -m lightning_transformer.data`: look at data, and clean the cache of encoded texts."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_transformer.cli.console import outlive_readers, write_any_character
from lightning_transformer.cli.exits import OneLineParser
from lightning_transformer.errors import ConfigError, TrainingError
from lightning_transformer.paths import PROGRAM

CLEAN = "clean"
EXPLAIN = "data.explain="
OVERRIDE = re.compile(r"[+~]?[A-Za-z_][\w.@/]*=")

DESCRIPTION = """\
Look at data as training gets them, without training: what they hold, how long the examples are, how
the tokenizer does, how much is padding, what was cut or dropped, and examples exactly as the model
reads them, with what it is asked for below.
"""

EPILOG = """\
Examples
  {program} data=text data.path=book.txt tokenizer=bpe
  {program} data=conll data.path=names.conll task=tagging model=encoder_only
  {program} task=masked_lm model=encoder_only tokenizer=bpe --examples 3
  {program} data=text data.path=book.txt data.explain=7     the samples of step 7, then ends
  {program} outputs/runs/RUN data.explain=1200              what a run saw at step 1200
  {program} clean                                           what the cache of encoded texts holds

KEY=VALUE are those of training. Data that the task does not read get one that does, which is said.
data.explain=STEP counts steps from 1, as metrics.csv does; training takes it too, and then ends.
"""


@dataclass(frozen=True)
class LookRequest:
    """What to look at. run: a folder in place of overrides. step: from 0, None = the summary."""

    overrides: tuple[str, ...] = ()
    run: Path | None = None
    step: int | None = None
    n_examples: int = 10
    n_tokens: int = 128  # of each example, 0 = all
    config_dirs: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 2 for wrong input; 130 if interrupted."""
    write_any_character()
    outlive_readers()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [CLEAN]:
        from lightning_transformer.cli.clean_command import clean

        return clean(given[1:])
    try:
        return look(request_of(given))
    except (ConfigError, ValueError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def look(request: LookRequest) -> int:
    """Print what was asked for; return the exit status."""
    try:
        # Not at the top: it loads torch, and wrong words do not need it.
        from lightning_transformer.cli.look_at_data import show

        show(request)
    except KeyboardInterrupt:
        return 130
    except (ConfigError, TrainingError, ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options, each with its default in the help."""
    program = f"{PROGRAM}.data"
    parser = OneLineParser(
        prog=program,
        usage=f"{program} [RUN_FOLDER] [KEY=VALUE..] [options]  |  {program} {CLEAN} [options]",
        description=DESCRIPTION,
        epilog=EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("given", metavar="RUN_FOLDER|KEY=VALUE", nargs="*", help="a run, or a configuration")
    text = "how many are shown (default 10)"
    add("--examples", metavar="N", type=_count, default=10, help=text)
    text = "of each example that are shown (default 128; 0 = all); all with data.explain"
    add("--tokens", metavar="N", type=_count, default=None, help=text)
    text = "a folder of further options, as in training; may be given several times"
    add("--config-dir", "-cd", metavar="FOLDER", action="append", default=[], help=text)
    text = "a package whose components a run may name, besides this one and plug-ins"
    add("--trust", metavar="PACKAGE", action="append", default=[], help=text)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 0, e.g. 3")
    return int(text)


def request_of(arguments: Sequence[str]) -> LookRequest:
    """Arguments to a request; exits with status 2 and one line if a flag is wrong.

    Raises ConfigError for words that are neither a run folder nor KEY=VALUE.
    """
    found = make_parser().parse_intermixed_args(list(arguments))
    words = [t for t in found.given if not OVERRIDE.match(t) or Path(t).is_dir()]
    overrides = [text for text in found.given if text not in words]
    for word in words:
        if not Path(word).is_dir():
            raise ConfigError(_unknown(word))
    if len(words) > 1:
        raise ConfigError(f"{words[0]} and {words[1]}: one run at a time")
    for folder in found.config_dir:
        if not Path(folder).is_dir():
            raise ConfigError(f"--config-dir={folder} is not a folder; name one that exists")
    step, overrides = split_step(overrides)
    if words and overrides:
        raise ConfigError(
            f"{overrides[0]}: {words[0]} is shown with the data that it was trained on; leave "
            f"{overrides[0]} out, or leave out the folder"
        )
    default = LookRequest.n_tokens if step is None else 0
    return LookRequest(
        overrides=tuple(overrides),
        run=Path(words[0]) if words else None,
        step=step,
        n_examples=found.examples,
        n_tokens=default if found.tokens is None else found.tokens,
        config_dirs=tuple(str(Path(folder).absolute()) for folder in found.config_dir),
        trust=tuple(found.trust),
    )


def split_step(overrides: Sequence[str]) -> tuple[int | None, list[str]]:
    """The step of data.explain=STEP, from 0, if it is among the overrides, and the others."""
    asked = [text.removeprefix(EXPLAIN) for text in overrides if text.startswith(EXPLAIN)]
    others = [text for text in overrides if not text.startswith(EXPLAIN)]
    if not asked:
        return None, others
    if not asked[-1].isdecimal() or not int(asked[-1]):
        raise ConfigError(
            f"{EXPLAIN}{asked[-1]} must be one step, counted from 1 as in metrics.csv, e.g. "
            f"{EXPLAIN}1"
        )
    return int(asked[-1]) - 1, others


def _unknown(word: str) -> str:
    import difflib

    if difflib.get_close_matches(word, [CLEAN]):
        return f"{word} is no command; did you mean {CLEAN}?"
    return (
        f"{word} is neither a run folder nor KEY=VALUE nor the command {CLEAN}; write for example "
        "data=text data.path=book.txt"
    )
