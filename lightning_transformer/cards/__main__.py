"""`python -m lightning_transformer.cards [GROUP [OPTION]]`: what the options are and cost."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightning_transformer.cards.files import all_groups, default_option, read_option
from lightning_transformer.cards.page import card, index, page
from lightning_transformer.cards.table import write_table
from lightning_transformer.cli.console import discard, write_any_character
from lightning_transformer.config.validate import nearest
from lightning_transformer.paths import PROGRAM

# Groups that change what a model computes: their options have a cost.
PRICED = (
    *("activation", "attention", "block", "layer_sharing", "embedding", "ffn"),
    *("memory_tokens", "norm", "pattern", "position", "qk_norm", "residual"),
)
# What is written: these, and those that change how a model is computed or trained.
PAGES = sorted((*PRICED, "init", "kernel", "loss", "optimizer", "pooling", "schedule"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print cards, or write pages; return the exit status: 0, or 2 for wrong input."""
    write_any_character()
    asked = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        if asked.table is not None:
            write_table(asked.table, all_groups())
            print(asked.table)
        if asked.write is not None:
            write(asked.write, [asked.group] if asked.group else None)
        elif asked.group is None and asked.table is None:
            for group, names in all_groups().items():
                print(f"{group}: {', '.join(names)}")
        elif asked.group is not None:
            for text in cards(asked.group, asked.option):
                print(f"{text}\n", flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        discard(sys.stdout)
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def cards(group: str, option: str | None = None) -> Iterator[str]:
    """The cards of a group, or of one option. Raises ValueError for what there is not."""
    found = all_groups()
    if group not in found:
        raise ValueError(
            f"unknown group {group}{nearest(group, found)} (groups: {', '.join(found)})"
        )
    if option is not None and option not in found[group]:
        raise ValueError(
            f"unknown option {group}={option}{nearest(option, found[group])} "
            f"(choose from {', '.join(found[group])})"
        )
    names = found[group] if option is None else [option]
    return (_card(group, name) for name in names)


def write(folder: Path, chosen: Sequence[str] | None) -> None:
    """Write a page for each group, and one that lists them, or the chosen ones; and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    for group in chosen or PAGES:
        _write(folder / f"{group}.md", page(group, cards(group)))
    if chosen is None:
        found = all_groups()
        options = {group: [read_option(group, name) for name in found[group]] for group in PAGES}
        _write(folder / "README.md", index(options))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    print(path, flush=True)


def _card(group: str, name: str) -> str:
    default = default_option(group)
    if group not in PRICED or default is None or name == default:
        return card(read_option(group, name), default, None)
    # Only now, because torch takes seconds.
    from lightning_transformer.cards.sizes import cost

    return card(read_option(group, name), default, cost(group, name, default))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM}.cards",
        description="What the options of a group compute, take, cost, and cannot be combined with.",
    )
    parser.add_argument("group", nargs="?", help="such as norm; without it, all are listed")
    parser.add_argument("option", nargs="?", help="such as rmsnorm; without it, all of the group")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write pages of Markdown")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="write the table of all options into README.md"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
