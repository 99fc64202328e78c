"""`python -m lightning_transformer.data clean`: what the cache holds, and less of it."""

import sys
import time
from collections.abc import Sequence

from lightning_transformer.cli.exits import OneLineParser
from lightning_transformer.data.store import corpus
from lightning_transformer.data.store.streamed_rows import ROWS
from lightning_transformer.paths import PROGRAM


def clean(arguments: Sequence[str]) -> int:
    """List or remove encoded texts; return the exit status: 0, or 2 for wrong input."""
    asked = _parser().parse_args(list(arguments))
    if asked.keep_gb is None and not asked.all:
        return _list()
    if asked.keep_gb is not None and not asked.keep_gb >= 0:
        print(f"error: --keep-gb {asked.keep_gb} must be at least 0, e.g. 20", file=sys.stderr)
        return 2
    try:
        removed = corpus.shrink(0.0 if asked.all else asked.keep_gb * 1e9)
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"removed {len(removed)} encoded texts, {sum(one.size for one in removed) / 1e9:.2f} GB")
    left = corpus.kept()
    print(f"left {len(left)}, {sum(one.size for one in left) / 1e9:.2f} GB, in {corpus.corpora()}")
    return 0


def _list() -> int:
    there = corpus.kept()
    for one in there:
        day = time.strftime("%Y-%m-%d", time.localtime(one.used))
        whole = one.complete or (one.folder / ROWS).exists()
        mark = "" if whole else ", incomplete"
        print(f"{one.folder.name}  {one.size / 1e9:.3f} GB  used {day}{mark}: {_about(one)}")
    total = sum(one.size for one in there) / 1e9
    print(f"{len(there)} encoded texts, {total:.2f} GB, in {corpus.corpora()}")
    if there:
        print("remove them with --all, or the least recently used with --keep-gb GB")
    return 0


def _about(one: corpus.Kept) -> str:
    """Which files a corpus was made of."""
    if (one.folder / ROWS).exists():
        return "rows of a streamed data set"
    if not one.complete:
        return "being encoded, or interrupted"
    try:
        return ", ".join(corpus.read_manifest(one.folder, use=False)["made_of"]["inputs"])
    except (OSError, ValueError, KeyError):
        return "damaged"


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=f"{PROGRAM}.data clean",
        description="List the encoded texts in the cache, or remove some. What is removed is "
        "encoded again when a run needs it; what another process is encoding stays.",
        allow_abbrev=False,
    )
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--all", action="store_true", help="remove all")
    some.add_argument("--keep-gb", type=float, metavar="GB", help="remove down to so many GB")
    return parser
