"""`compare run .. ladder=3` or `.. tasks=A,B`: several comparisons, then one report over all.

Each is an ordinary comparison in a folder of its own, so that the same command continues them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lightning_transformer.compare.across.parts import (
    LADDER,
    SEVERAL_FILE,
    Part,
    RungSize,
    Several,
    read_several,
)
from lightning_transformer.compare.across.write import write_above
from lightning_transformer.compare.report.write import Wanted
from lightning_transformer.compare.run.ask import Examine, ask, examine
from lightning_transformer.compare.run.command import ROOT, Prepared, perform, prepared, read
from lightning_transformer.compare.run.command import compare as compare_once
from lightning_transformer.compare.run.command import main as run_main
from lightning_transformer.compare.run.launchers.chosen import launcher_of
from lightning_transformer.compare.run.machine import EXACT, PRECISION, by_width
from lightning_transformer.compare.run.request import Request
from lightning_transformer.compare.run.scheduler import Pool, Start
from lightning_transformer.compare.run.state import locked
from lightning_transformer.compare.run.variants import WIDTH, read_variants
from lightning_transformer.compare.several.asked import (
    SeveralRequest,
    asks_for_several,
    read_several_request,
)
from lightning_transformer.compare.several.extend import continued, differences, grown
from lightning_transformer.compare.several.show import show
from lightning_transformer.config.auto_precision import BF16_FROM
from lightning_transformer.errors import ConfigError
from lightning_transformer.runs.naming import override_key
from lightning_transformer.runs.typed_json import from_json

Starts = Callable[[Pool], Start]
SIZES = "lightning_transformer.compare.several.sizes"


def main(argv: Sequence[str]) -> int:
    """Return the exit status, as of `run.command.main`."""
    return run_main(argv, compare)


def compare(
    argv: Sequence[str],
    console: Console,
    starts: Starts | None = None,
    examine: Examine = examine,
) -> int:
    """Run one comparison, or several; the exit status is that of `run.command.compare`.

    starts, examine: replace the processes of each comparison in tests.
    """
    if not asks_for_several(argv):
        _check_is_one(argv)
        return compare_once(argv, console, examine=examine)
    asked = read_several_request(argv)
    if not asked.is_named:
        asked = continued(asked, ROOT)
    folder = ROOT / asked.name
    several = _opened(folder, asked)
    ready = [prepared(_request(asked, part), folder, console, examine) for part in several.parts]
    for one in ready:
        one.pool.load_outcomes()
    if any(f"{PRECISION}={EXACT}" in part.overrides for part in several.parts):
        console.print(
            f"{PRECISION}={EXACT} for all sizes: with auto it would depend on their width"
        )
    show(console, several, [one.pool for one in ready], folder)
    if asked.request.dry_run:
        return 0
    with locked(folder, console.print):
        several.write(folder)
        for one in ready:  # what was checked and timed is not again where this continues
            one.pool.folder.mkdir(exist_ok=True)
            one.pool.state.write(one.pool.folder)
        return _work(several, ready, folder, console, starts)


def _work(
    several: Several,
    ready: Sequence[Prepared],
    folder: Path,
    console: Console,
    starts: Starts | None,
) -> int:
    """Run the comparisons one after another; a failed job of one does not keep others from it."""
    codes = []
    for i, (part, one) in enumerate(zip(several.parts, ready, strict=True), start=1):
        console.rule(f"{part.name}, {i} of {len(ready)}", align="left")
        codes.append(perform(one, console, starts and starts(one.pool)))
        if codes[-1] > 1:
            return codes[-1]
    console.rule(f"all {len(ready)}", align="left")
    # Runs that differ in what must be equal, such as code changed in between: its head says so.
    write_above(folder, several, Wanted(mixing="force"), console)
    return max(codes)


def _check_is_one(argv: Sequence[str]) -> None:
    """Refuse to put a comparison into a folder of several."""
    for text in argv:
        key, _, name = text.partition("=")
        if key == "name" and (ROOT / name / SEVERAL_FILE).is_file():
            raise ConfigError(f"{ROOT / name} holds several comparisons; choose another name=")


def _opened(folder: Path, asked: SeveralRequest) -> Several:
    """The comparisons as they were first made, with what was added, or new ones.

    Raises ConfigError where the folder holds another comparison.
    """
    old = read_several(folder)
    if old is None:
        if any(folder.glob("*.json")) or any(folder.glob("*/result.json")):
            raise ConfigError(f"{folder} holds another comparison; choose another name=")
        return _new(asked)
    if old.asked == asked.identity:
        return old
    if found := differences(old.asked, asked.identity):
        raise ConfigError(
            f"name={asked.name} in {SEVERAL_FILE} is another comparison ({found[0]}); choose "
            "another name="
        )
    return grown(old, _new(asked), asked)


def _new(asked: SeveralRequest) -> Several:
    if asked.kind != LADDER:
        names = ["+".join(word.removeprefix("data=") for word in task) for task in asked.tasks]
        parts = [
            Part(_folder_name(name), list(task))
            for name, task in zip(names, asked.tasks, strict=True)
        ]
        return Several(asked.kind, asked.name, parts, asked.identity)
    baseline = read_variants(asked.request)[0]
    answer = ask(
        SIZES,
        {
            "config_dirs": asked.request.config_dirs,
            "overrides": baseline.overrides,
            "rungs": asked.rungs,
            "tokens_per_param": asked.tokens_per_param,
        },
        None,
    )
    if "error" in answer:
        raise ConfigError(answer["error"])
    sizes = [from_json(RungSize, one["size"]) for one in answer["rungs"]]
    on_gpus = launcher_of(asked.request).on_gpus
    widths = {size.shape[WIDTH] >= BF16_FROM for size in sizes}
    # As within a comparison: in float32 where the width would decide, for the trend is of size.
    same = (
        [f"{PRECISION}={EXACT}"] if len(widths) > 1 and by_width(baseline, on_gpus=on_gpus) else []
    )
    parts = [
        Part(f"rung{i}", [*one["overrides"], *same], size)
        for i, (one, size) in enumerate(zip(answer["rungs"], sizes, strict=True), start=1)
    ]
    rates = "screened"
    if asked.request.lr == "fixed":
        rates = "mup" if answer["mup"] else "fixed"
    return Several(asked.kind, asked.name, parts, asked.identity, rates)


def _folder_name(task: str) -> str:
    return "".join(c if c.isalnum() or c in "+._-=" else "-" for c in task)


def _request(asked: SeveralRequest, part: Part) -> Request:
    """The comparison of a part: all that was typed but for what the part sets."""
    keys = {"name", *(override_key(text) for text in part.overrides)}
    kept = [text for text in asked.typed if override_key(text) not in keys]
    flags = [f"--config-dir={folder}" for folder in asked.request.config_dirs]
    found = read([*flags, *kept, *part.overrides, f"name={part.name}"])
    return replace(found, dry_run=asked.request.dry_run)
