"""`python -m lightning_transformer.compare PATHS ..`: what differs, by how much, how sure that is.

`.. run` does the runs of a comparison, `.. watch` follows one that is running, `.. cancel` ends the
jobs that one has left in the queue of a cluster.
"""

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from lightning_transformer.cli.console import outlive_readers, write_any_character

DESCRIPTION = """\
Compare runs: a table here, and report.html, .md, .csv, .json and plots beside them.

  python -m lightning_transformer.compare outputs/sweeps/norms
  python -m lightning_transformer.compare run norm=layernorm,rmsnorm seeds=5    do the runs as well
  python -m lightning_transformer.compare watch norms                          follow a running one
  python -m lightning_transformer.compare cancel norms                         end its queued jobs
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 2 for bad input; `run`, `watch`, `cancel` have their own."""
    write_any_character()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        outlive_readers()
        from lightning_transformer.compare.several.command import main as run

        return run(arguments[1:])
    if arguments[:1] == ["cancel"]:
        from lightning_transformer.compare.run.queue.cancel import main as cancel

        return cancel(arguments[1:])
    if arguments[:1] == ["watch"]:
        from lightning_transformer.compare.watch import main as watch

        return watch(arguments[1:])
    return _report(_parser().parse_args(arguments))


def _report(arguments: argparse.Namespace) -> int:
    from lightning_transformer.compare.across.write import write
    from lightning_transformer.compare.report.write import Wanted

    wanted = Wanted(
        by=tuple(key for key in arguments.by.split(",") if key),
        metric=arguments.metric,
        baseline=arguments.baseline,
        better=arguments.better,
        margin_percent=arguments.margin,
        mixing="split" if arguments.split else "force" if arguments.force else "refuse",
        page_only=arguments.html,
        latex=arguments.latex,
        long_csv=arguments.csv,
        out=arguments.out,
    )
    try:
        pages = write(arguments.paths, wanted)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if arguments.open:
        webbrowser.open(pages[0].resolve().as_uri())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_transformer.compare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, help="folders of runs")
    add("--by", default="", metavar="KEY,..", help="what is compared (default: what was swept)")
    add("--metric", help="default test/loss")
    add("--baseline", metavar="KEY=VALUE,..", help="what the others are compared with")
    add("--better", choices=("lower", "higher"), help="for a metric whose name does not tell")
    add("--margin", type=_percent, default=0.5, metavar="PERCENT",
        help="differences up to here do not matter (default 0.5, of the baseline)")  # fmt: skip
    mixing = parser.add_mutually_exclusive_group()
    mixing.add_argument("--split", action="store_true",
                        help="for runs of other data or code, a report each")  # fmt: skip
    mixing.add_argument("--force", action="store_true", help="one report with a warning for them")
    add("--html", action="store_true", help="write the page and report.json alone, which is faster")
    add("--latex", action="store_true", help="write report.tex too: the table, with booktabs")
    add("--csv", action="store_true", help="write report_long.csv too: every metric of every run")
    add("--open", action="store_true", help="show the page in the browser")
    add("--out", type=Path, metavar="FOLDER", help="where to write (default: beside the runs)")
    return parser


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text} must be from 0 to below 100, for example 0.5")
    return value


if __name__ == "__main__":
    sys.exit(main())
