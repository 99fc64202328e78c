"""Claims whose verdicts hold are run again; every page is what its command says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import claims
from benchmarks.claim_texts import CLAIMS, Base, Claim
from benchmarks.claims import command
from lightning_transformer.compare.run.command import read
from lightning_transformer.compare.run.variants import read_variants
from lightning_transformer.compare.several.asked import asks_for_several, read_several_request
from lightning_transformer.config.compose import chosen_options, composer
from tests.helpers.short_runs import start

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in (ROOT / "docs" / "claims").glob("*.md") if p.name != "README.md")
MEASURED = {p.stem for p in (ROOT / "benchmarks" / "measured").glob("*.py")} - {"__init__", "page"}


def compared(folder: Path, *typed: str) -> dict[str, dict]:
    """Variant to its row of report.json, of a comparison that is run here."""
    words = [sys.executable, "-m", "lightning_transformer.compare", "run", *typed, "name=claim"]
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    report = json.loads((folder / "outputs/sweeps/claim/report.json").read_text(encoding="utf-8"))
    return {row["variant"]: row for row in report["variants"]}


@pytest.mark.thorough
def test_an_encoder_without_positions_guesses_the_order(tmp_path):
    found = compared(
        tmp_path, "experiment=order", "position=none,rope,sinusoidal", "seeds=3", "lr=fixed"
    )
    assert found["position=rope"]["verdict"] == "better"
    assert found["position=sinusoidal"]["verdict"] == "better"
    assert found["position=none"]["mean"] == pytest.approx(0.693, abs=0.01)  # ln 2: a coin


@pytest.mark.thorough
def test_post_norm_learns_with_warm_up_and_not_without(tmp_path):
    kept = CLAIMS["warmup"].typed
    typed = [word for word in kept if not word.startswith(("residual=", "seeds="))]
    found = compared(tmp_path, *typed, "residual=post_norm", "seeds=3")
    assert found["schedule.warmup_steps=100"]["verdict"] == "better"


@pytest.mark.thorough
def test_without_norms_a_high_rate_diverges(tmp_path):
    found = compared(
        tmp_path, "experiment=no_norm", "init=xavier", "norm=layernorm,none", "seeds=3", "lr=fixed"
    )
    assert found["norm=none"]["verdict"] == "diverged"
    assert found["norm=none"]["states"]["diverged"] == 3
    assert found["norm=layernorm"]["states"]["ok"] == 3


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> Path:
    """A folder in which the runs that claims start from have taken one step."""
    folder = tmp_path_factory.mktemp("bases")
    for base in {claim.base for claim in CLAIMS.values() if claim.base is not None}:
        brief = ("trainer.max_steps=1", "trainer.val_every=1", "trainer=cpu", "callbacks=none")
        typed = [*base.typed, *brief, "logger=none"]
        with composer():
            choices = chosen_options(typed)
        start(folder / base.folder, typed, choices=choices)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_claim_is_a_comparison_that_could_be_run(name, bases, monkeypatch):
    typed = CLAIMS[name].typed
    if CLAIMS[name].base is not None:
        monkeypatch.chdir(bases)
    asked = read_several_request(typed).request if asks_for_several(typed) else read(typed)
    assert len(read_variants(asked)) > 1


def test_there_is_a_page_for_each_claim_and_a_claim_for_each_page():
    assert {page.stem for page in PAGES} == set(CLAIMS) | MEASURED
    index = (ROOT / "docs" / "claims" / "README.md").read_text(encoding="utf-8")
    assert all(f"]({page.name})" in index for page in PAGES)


TAUGHT = Claim(
    "?", "!", ("init_from=outputs/runs/claim_base_sums", "policy=rejection,grpo", "seeds=5"), ".",
    base=Base("sums", ("experiment=sums", "data.n_train=[100]")), metric="test/exact_match",
)  # fmt: skip


def test_the_command_of_a_claim_makes_what_it_starts_from_and_reads_its_metric():
    program = "python -m lightning_transformer"
    assert command("policies", TAUGHT).splitlines() == [
        f"{program} experiment=sums 'data.n_train=[100]' \\",
        "    hydra.run.dir=outputs/runs/claim_base_sums",
        f"{program}.compare run init_from=outputs/runs/claim_base_sums \\",
        "    policy=rejection,grpo seeds=5 name=claim_policies",
        f"{program}.compare outputs/sweeps/claim_policies --metric \\",
        "    test/exact_match",
    ]


def test_what_a_claim_starts_from_is_trained_once(tmp_path, monkeypatch):
    typed = []
    monkeypatch.setattr(claims, "ROOT", tmp_path)
    monkeypatch.setattr(claims.subprocess, "run", lambda words, **_: typed.append(words[2:]))
    claims.run("policies", TAUGHT)
    base = tmp_path / "outputs/runs/claim_base_sums/result.json"
    folder = "hydra.run.dir=outputs/runs/claim_base_sums"
    trained = ["lightning_transformer", "experiment=sums", "data.n_train=[100]", folder]
    compared = ["lightning_transformer.compare", "run", *TAUGHT.typed, "name=claim_policies"]
    reading = ["outputs/sweeps/claim_policies", "--metric", "test/exact_match"]
    assert typed == [trained, compared, ["lightning_transformer.compare", *reading]]
    for status, n_commands in (("failed", 3), ("finished", 2)):
        typed.clear()
        base.parent.mkdir(parents=True, exist_ok=True)
        base.write_text(json.dumps({"status": status}), encoding="utf-8")
        claims.run("policies", TAUGHT)
        assert len(typed) == n_commands


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
