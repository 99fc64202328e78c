"""Common claims about training transformers: each as a comparison, and its page.

    python -m benchmarks.claims [NAME ..]      all without a name; a finished run is not run again

Runs `compare run` into outputs/sweeps/claim_NAME and writes docs/claims/NAME.md and NAME.svg. Half
an hour on two cores. The text under "Reading" is written by hand for the numbers of the page.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.claim_texts import CLAIMS, Claim

ROOT = Path(__file__).resolve().parents[1]
PAGES, SWEEPS = ROOT / "docs" / "claims", ROOT / "outputs" / "sweeps"
PROGRAM = "python -m lightning_transformer.compare run"
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
    typed = [*claim.typed, f"name=claim_{name}"]
    subprocess.run(
        [sys.executable, "-m", "lightning_transformer.compare", "run", *typed], cwd=ROOT, check=True
    )


def write(name: str, claim: Claim) -> None:
    """The page of one claim, from its report.json and its text."""
    folder = SWEEPS / f"claim_{name}"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    parts = [
        f"# {claim.question}",
        f"**The claim.** {claim.claim}",
        "```bash\n" + command(name, claim) + "\n```",
        table(report, claim.metrics, folder),
        f"![differences from the baseline]({name}.svg)",
        f"**Reading.** {claim.reading}",
        provenance(report),
    ]
    shutil.copy(folder / "report" / "forest.svg", PAGES / f"{name}.svg")
    (PAGES / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def command(name: str, claim: Claim) -> str:
    words_ = [PROGRAM, *claim.typed, f"name=claim_{name}"]
    lines, line = [], ""
    for word in words_:
        if len(line) + len(word) > 92:
            lines.append(f"{line} \\")
            line = "   "
        line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


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


def provenance(report: dict[str, Any]) -> str:
    facts = {fact["name"]: fact["value"] for fact in report["facts"]}
    minutes = sum(run["seconds"] or 0 for run in report["runs"]) / 60
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
