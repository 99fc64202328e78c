"""Common claims about training transformers: each as a comparison, and its page.

    python -m benchmarks.claims [NAME ..]      all without a name; a finished run is not run again

Runs `compare run` into outputs/sweeps/claim_NAME and writes docs/claims/NAME.md and NAME.svg. Half
an hour on two cores. The text under "Reading" is written by hand for the numbers of the page.
"""

import argparse
import json
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.claim_texts import CLAIMS, Base, Claim

ROOT = Path(__file__).resolve().parents[1]
PAGES, SWEEPS = ROOT / "docs" / "claims", ROOT / "outputs" / "sweeps"
TRAIN = "python -m lightning_transformer"
COMPARE = f"{TRAIN}.compare"
PROGRAM = f"{COMPARE} run"
# How the verdicts of report.json read on a page, where that differs.
VERDICTS = {
    "unresolved": "no significant difference",
    "unchanged": "changed nothing, bit by bit",
    "withheld": "not tested",
    "no inference": "not tested",
    "no spread": "not tested",
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CLAIMS))
    parser.add_argument("--pages", action="store_true", help="write pages of runs that are there")
    asked = parser.parse_args(argv)
    PAGES.mkdir(exist_ok=True)
    for name in asked.names or CLAIMS:
        if not asked.pages:
            run(name, CLAIMS[name])
        write(name, CLAIMS[name])
    index()


def run(name: str, claim: Claim) -> None:
    """Run the comparison, or continue it; a diverged run is not a failure."""
    if claim.base is not None:
        train(claim.base)
    compare = [sys.executable, "-m", "lightning_transformer.compare"]
    subprocess.run([*compare, "run", *claim.typed, f"name=claim_{name}"], cwd=ROOT, check=True)
    if claim.metric is not None:
        subprocess.run([*compare, *read_by(name, claim.metric)], cwd=ROOT, check=True)


def read_by(name: str, metric: str) -> list[str]:
    """What reads the runs of a claim by another metric than the loss."""
    return [f"outputs/sweeps/claim_{name}", "--metric", metric]


def train(base: Base) -> None:
    """Train what a comparison starts from, unless it is there."""
    result = ROOT / base.folder / "result.json"
    if result.is_file() and json.loads(result.read_text(encoding="utf-8"))["status"] == "finished":
        return
    typed = [*base.typed, f"hydra.run.dir={base.folder}"]
    subprocess.run([sys.executable, "-m", "lightning_transformer", *typed], cwd=ROOT, check=True)


def write(name: str, claim: Claim) -> None:
    """The page of one claim, from its report.json and its text."""
    folder = SWEEPS / f"claim_{name}"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    shown = ladder_shown if "rungs" in report else comparison_shown
    parts = [
        f"# {claim.question}",
        f"**The claim.** {claim.claim}",
        "```bash\n" + command(name, claim) + "\n```",
        *shown(name, claim, report, folder),
        f"**Reading.** {claim.reading}",
        provenance(report, folder),
    ]
    (PAGES / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def comparison_shown(
    name: str, claim: Claim, report: dict[str, Any], folder: Path
) -> tuple[str, ...]:
    """The table and the picture of one comparison."""
    shutil.copy(folder / "report" / "forest.svg", PAGES / f"{name}.svg")
    return table(report, claim.metrics, folder), f"![differences from the baseline]({name}.svg)"


def ladder_shown(name: str, claim: Claim, report: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """What report.md says of all sizes, with its pictures next to the page."""
    text = (folder / "report.md").read_text(encoding="utf-8").split("\n\n", 1)[1].strip()
    for picture in sorted((folder / "report").glob("*.svg")):
        shutil.copy(picture, PAGES / f"{name}_{picture.name}")
        text = text.replace(f"(report/{picture.stem}.png)", f"({name}_{picture.name})")
    return (text,)


def command(name: str, claim: Claim) -> str:
    """What makes the base of a claim, if it has one, what compares, and what reads the metric."""
    commands = [[PROGRAM, *claim.typed, f"name=claim_{name}"]]
    if claim.base is not None:
        commands.insert(0, [TRAIN, *claim.base.typed, f"hydra.run.dir={claim.base.folder}"])
    if claim.metric is not None:
        commands.append([COMPARE, *read_by(name, claim.metric)])
    return "\n".join(map(wrapped, commands))


def wrapped(typed: Sequence[str]) -> str:
    """Words as one command of a shell, in lines of 92 characters at most."""
    lines, line = [], ""
    for word in map(quoted, typed):
        if len(line) + len(word) > 92:
            lines.append(f"{line} \\")
            line = "   "
        line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


def quoted(word: str) -> str:
    """A word as a shell reads it; a command of several stands as it is."""
    return word if word in (TRAIN, COMPARE, PROGRAM) else shlex.quote(word)


def table(report: dict[str, Any], further: Sequence[str], folder: Path) -> str:
    """Variants with their metric, the difference, what would have been seen, and the rate."""
    head = ["variant", report["metric"], "Δ", "95 % interval", "Holm p", "verdict", "detectable"]
    rows = [[*head, "seeds", "LR", *further]]
    rows.append(["---"] + ["---:"] * 4 + ["---"] + ["---:"] * (3 + len(further)))
    for row in report["variants"]:
        effect = row["effect"]
        cells, seen = ["–", "–", "–"], "–"
        if effect:
            low, high = effect["low"], effect["high"]
            cells = [
                f"{effect['delta']:+.4f}",
                "–" if low is None else f"{low:+.4f} … {high:+.4f}",
                p_value(effect["p_holm"]),
            ]
            seen = detectable(effect)
        reached = "–" if row["mean"] is None else f"{row['mean']:.4f} ± {row['sd'] or 0:.4f}"
        n = str(effect["n"] if effect else row["states"]["ok"])
        rate = "–" if row["lr"] is None else f"{row['lr']:g}"
        rows.append([row["variant"], reached, *cells, verdict(row), seen, n, rate,
                     *means(folder, row, further)])  # fmt: skip
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def detectable(effect: dict[str, Any]) -> str:
    """The difference that these seeds call better or worse 4 times in 5."""
    size, share = effect["detectable"], effect["detectable_percent"]
    if size is None or share is None:
        return "–"
    return f"{size:.4f} ({share:.2g} %)" if share < 100 else f"{size:.4f}"


def p_value(p: float | None) -> str:
    return "–" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def verdict(row: dict[str, Any]) -> str:
    count = row["divergence"]
    diverged = f"diverged {count['n']} of {count['of']}"
    if row["verdict"].startswith("diverge"):
        p = "" if count["p_holm"] is None else f" (p {p_value(count['p_holm'])})"
        return diverged + p
    text = VERDICTS.get(row["verdict"], str(row["verdict"]))
    return f"{text}; {diverged}" if count["n"] else text


def means(folder: Path, row: dict[str, Any], metrics: Sequence[str]) -> list[str]:
    """Further metrics of a variant, averaged over its finished runs."""
    found = []
    for metric in metrics:
        values = [
            result["metrics"][metric]
            for file in folder.glob("*/result.json")
            for result in [json.loads(file.read_text(encoding="utf-8"))]
            if result["status"] == "finished" and is_of(result, row["variant"])
        ]
        found.append(f"{sum(values) / len(values):.3f}" if values else "–")
    return found


def is_of(result: dict[str, Any], label: str) -> bool:
    return set(label.split(",")) <= set(result["overrides"])


def provenance(report: dict[str, Any], folder: Path) -> str:
    """Seeds, margin, machine and versions; of a ladder those of its largest size."""
    if "rungs" in report:
        files = [folder / rung["name"] / "report.json" for rung in report["rungs"]]
        of_sizes = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        runs = [run for one in of_sizes for run in one["runs"]]
        report = of_sizes[-1]
    else:
        runs = report["runs"]
    facts = {fact["name"]: fact["value"] for fact in report["facts"]}
    minutes = sum(run["seconds"] or 0 for run in runs) / 60
    return (
        f"<sub>{len(report['seeds'])} seeds; learning rate {facts['learning rate']}; "
        f"margin {report['margin']['percent']} % of the baseline. {minutes:.1f} CPU minutes of "
        f"training in the reported runs, one thread each, on {facts['device']} "
        f"({platform.machine()}); Python {facts['python']}, torch {facts['torch']}, commit "
        f"{facts['commit']}, data {facts['data']} ({facts['data sha256']}). "
        f"Generated by `python -m benchmarks.claims`; do not edit.</sub>"
    )


def index() -> None:
    """docs/claims/README.md: every page with its result."""
    lines = [
        "# Claims",
        "Common claims about training transformers, each reproduced by one command, including "
        "those that did not replicate. Models are small and runs take minutes: results need not "
        "transfer to large models, and vice versa.",
        "| question | result |\n|---|---|",
    ]
    rows = []
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.name == "README.md":
            continue
        reading = text.split("**Reading.** ", 1)[1].split("\n\n", 1)[0]
        first = " ".join(reading.split()).split(". ", 1)[0].rstrip(".")
        rows.append(f"| [{text.splitlines()[0][2:]}]({page.name}) | {first}. |")
    content = "\n\n".join(lines) + "\n" + "\n".join(rows) + "\n"
    (PAGES / "README.md").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
