"""`python -m lightning_transformer.cluster script OVERRIDES`: a run as a batch script for Slurm."""

import argparse
import os
import sys
from collections.abc import Sequence

from lightning_transformer.cli.console import discard, write_any_character
from lightning_transformer.cluster.batch_script import batch_script
from lightning_transformer.paths import PROGRAM


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the script; return the exit status: 0, or 2 for wrong input."""
    write_any_character()
    asked, rest = _parser().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    flags = [text for text in rest if text.startswith("-")]
    overrides = [text for text in rest if not text.startswith("-")]
    try:
        print(batch_script(flags, overrides, [os.path.abspath(f) for f in asked.config_dir]))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        discard(sys.stdout)
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{PROGRAM}.cluster", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    script = commands.add_parser(
        "script",
        usage="%(prog)s [--SBATCH_OPTION=VALUE ..] [--config-dir DIR] [OVERRIDE ..]",
        description="Print a batch script for one run. When Slurm preempts it, or shortly before "
        "the time limit, the run stops with a checkpoint, is queued again, and goes on from its "
        "step. Nodes and tasks are trainer.num_nodes and trainer.devices.",
        epilog="Any option of sbatch in its long form, such as --time=08:00:00 or "
        "--gpus-per-node=2, becomes a line of the script.",
        allow_abbrev=False,
    )
    script.add_argument(
        "--config-dir", "-cd", action="append", default=[], help="a folder of your own options"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
