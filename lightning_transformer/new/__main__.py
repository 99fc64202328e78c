"""`python -m lightning_transformer.new GROUP NAME [--write]`: the files of a new option."""

import argparse
import sys
from collections.abc import Sequence

from lightning_transformer.cli.console import write_any_character
from lightning_transformer.new.skeleton import START, NewFile, skeleton
from lightning_transformer.paths import PACKAGE, PROGRAM

ROOT = PACKAGE.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the files; return the exit status: 0, or 2 for wrong input."""
    write_any_character()
    asked = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        files = skeleton(asked.group, asked.name)
        if asked.write:
            _write(files)
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for file in files:
        name = file.path.relative_to(ROOT)
        print(name if asked.write else f"# {name}\n{file.text}")
    if asked.write:
        print(
            f"edit them, then: make docs && make test-variant GROUP={asked.group} NAME={asked.name}"
        )
    return 0


def _write(files: Sequence[NewFile]) -> None:
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with file.path.open("x", encoding="utf-8") as out:  # never over what is there
            out.write(file.text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM}.new",
        description="Print the module, the YAML file and the test of a new option: those of a "
        "short option of its group under the new name, to be edited.",
    )
    parser.add_argument("group", help=f"one of {', '.join(START)}")
    parser.add_argument("name", help="of the option, its module and its files, such as my_norm")
    parser.add_argument("--write", action="store_true", help="write the files; none is overwritten")
    return parser


if __name__ == "__main__":
    sys.exit(main())
