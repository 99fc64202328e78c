"""Claims whose verdicts hold are run again; every page is what its command says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.claim_texts import CLAIMS
from benchmarks.claims import command
from lightning_transformer.compare.run.request import read_request
from lightning_transformer.compare.run.variants import read_variants
from lightning_transformer.config.compose import composer, register

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in (ROOT / "docs" / "claims").glob("*.md") if p.name != "README.md")
MEASURED = {p.stem for p in (ROOT / "benchmarks" / "measured").glob("*.py")} - {"__init__", "page"}


def compared(folder: Path, *typed: str) -> dict[str, dict]:
    """Variant to its row of report.json, of a comparison that is run here."""
    words = [sys.executable, "-m", "lightning_transformer.compare", "run", *typed, "name=claim"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    report = json.loads((folder / "outputs/sweeps/claim/report.json").read_text(encoding="utf-8"))
    return {row["variant"]: row for row in report["variants"]}


@pytest.mark.slow
def test_an_encoder_without_positions_guesses_the_order(tmp_path):
    found = compared(
        tmp_path, "experiment=order", "position=none,rope,sinusoidal", "seeds=3", "lr=fixed"
    )
    assert found["position=rope"]["verdict"] == "better"
    assert found["position=sinusoidal"]["verdict"] == "better"
    assert found["position=none"]["mean"] == pytest.approx(0.693, abs=0.01)  # ln 2: a coin


@pytest.mark.slow
def test_post_norm_learns_with_warm_up_and_not_without(tmp_path):
    typed = [word for word in CLAIMS["warmup"].typed if not word.startswith("residual=")]
    found = compared(tmp_path, *typed, "residual=post_norm", "seeds=3")
    assert found["schedule.warmup_steps=100"]["verdict"] == "better"


@pytest.mark.slow
def test_without_norms_a_high_rate_diverges(tmp_path):
    found = compared(
        tmp_path, "experiment=no_norm", "init=xavier", "norm=layernorm,none", "seeds=3", "lr=fixed"
    )
    assert found["norm=none"]["verdict"] == "diverged"
    assert found["norm=none"]["states"]["diverged"] == 3
    assert found["norm=layernorm"]["states"]["ok"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_claim_is_a_comparison_that_could_be_run(name):
    register()
    with composer() as loader:
        asked = read_request(CLAIMS[name].typed, loader)
    assert len(read_variants(asked)) > 1


def test_there_is_a_page_for_each_claim_and_a_claim_for_each_page():
    assert {page.stem for page in PAGES} == set(CLAIMS) | MEASURED
    index = (ROOT / "docs" / "claims" / "README.md").read_text(encoding="utf-8")
    assert all(f"]({page.name})" in index for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_tells_the_command_that_made_it_and_what_came_of_it(page):
    text = page.read_text(encoding="utf-8")
    block = re.search(r"```bash\n(.*?)\n```", text, re.S)
    assert block is not None
    typed = shlex.split(block[1].replace("\\\n", " "))
    if page.stem in CLAIMS:
        assert typed == shlex.split(command(page.stem, CLAIMS[page.stem]).replace("\\\n", " "))
        assert CLAIMS[page.stem].reading in text
    else:
        assert typed == ["python", "-m", f"benchmarks.measured.{page.stem}"]
    reading = text.split("**Reading.** ", 1)[1].split("\n\n")[0]
    assert len(reading) > 40
    for picture in re.findall(r"\]\((\w+\.svg)\)", text):
        assert (page.parent / picture).is_file()
