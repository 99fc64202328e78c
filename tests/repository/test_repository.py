"""What the repository promises about itself: licence, version, commands, links, what git keeps."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import lightning_transformer

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json", ".cfg", ".sh", ""}
# The folders in which a home, a scratch area or a mounted disk of some machine lies.
MACHINE_PATH = re.compile(r"(?<![\w.}*/-])/(home|Users|root|work|mnt|tmp|scratch)/[\w.]+")
README_COMMANDS = (
    "pip install -e . && python -m lightning_transformer",
    "pip install -e '.[dev]' && pytest",
)


def git(*arguments: str) -> str:
    """What git prints; skips where this is no checkout, as in an unpacked sdist."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def texts(*suffixes: str) -> dict[str, str]:
    """Every text file that git tracks or would track, by name."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    names = [name for name in listed if (ROOT / name).is_file() and Path(name).suffix in suffixes]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


def make_targets() -> dict[str, str]:
    """Targets of the Makefile and what `make help` says of them."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    rules = [re.match(r"([a-z-]+):[^=#]*(?:## (.+))?$", line) for line in lines]
    return {rule[1]: rule[2] or "" for rule in rules if rule}


def test_no_file_holds_a_path_of_some_machine() -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in texts(*TEXT).items()
        for match in MACHINE_PATH.finditer(text)
    ]
    assert found == []


def test_machine_paths_are_recognised() -> None:
    user, folder = "ada", "tmp"
    assert MACHINE_PATH.search(f"path: /home/{user}/data")
    assert MACHINE_PATH.search(f'"/{folder}/x.txt"')
    assert not MACHINE_PATH.search("https://example.org/home/page and tests/work/x")


def test_no_tracked_file_is_large() -> None:
    names = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    paths = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert [str(path) for path in paths if path.stat().st_size > 500_000] == []


def test_git_keeps_the_readme_of_outputs_and_no_run() -> None:
    git("rev-parse")
    ignored = ["outputs/runs/x/result.json", "outputs/sweeps/x/y/last.ckpt", "dist/x.whl"]
    kept = ["outputs/README.md", "lightning_transformer/build.py", "conf/data/text.yaml"]
    command = ["git", "-C", str(ROOT), "check-ignore", "--no-index", *ignored, *kept]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ignored


def test_version_is_that_of_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] in {"Unreleased", lightning_transformer.__version__}
    released = [heading for heading in headings if heading != "Unreleased"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", heading) for heading in released)
    if released:
        numbers = [tuple(int(n) for n in heading.split(".")) for heading in released]
        assert numbers == sorted(numbers, reverse=True)
        assert lightning_transformer.__version__.startswith(released[0])


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert text.rstrip().endswith("limitations under the License.")
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_make_help_lists_every_target() -> None:
    targets = make_targets()
    assert [name for name, words in targets.items() if not words] == []
    if shutil.which("make") is None or shutil.which("awk") is None:
        pytest.skip("make or awk is not installed")
    done = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE)) == set(targets)


def test_make_targets_named_in_pages_exist() -> None:
    command = re.compile(r"(?:^ {4}|`)make ([a-z-]+)", re.MULTILINE)
    named = {name for text in texts(".md").values() for name in command.findall(text)}
    assert named - set(make_targets()) == set()
    assert "test-slow" in named


def test_make_clean_leaves_outputs() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nclean:")[1].splitlines()
    deleting = [line for line in lines if "rm -rf" in line]
    assert deleting
    for line in deleting:
        assert "outputs" not in line.replace("-not -path './outputs/*'", "")
        assert "find" not in line or "-not -path './outputs/*'" in line


@pytest.mark.parametrize("file", ["README.md", ".ci/run", ".github/workflows/ci.yml"])
@pytest.mark.parametrize("command", README_COMMANDS)
def test_the_two_commands_are_the_same_everywhere(file: str, command: str) -> None:
    assert command in re.sub(r" {2,}", " ", (ROOT / file).read_text(encoding="utf-8"))


def test_both_pipelines_run_the_same_checks() -> None:
    local = re.findall(
        r'^run "(.+)"$', (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE
    )
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert set(local) == {s["run"] for s in steps if "run" in s} - {"pip install -e '.[dev]'"}


def test_local_pipeline_is_a_valid_executable_script() -> None:
    script = ROOT / ".ci" / "run"
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    if os.name == "posix":
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", str(script)], check=True)


YAML_FILES = [".pre-commit-config.yaml", ".github/workflows/ci.yml", "CITATION.cff", "mkdocs.yml"]


@pytest.mark.parametrize("file", YAML_FILES)
def test_tool_configuration_is_yaml(file: str) -> None:
    assert isinstance(yaml.safe_load((ROOT / file).read_text(encoding="utf-8")), dict)


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for name, text in texts(".md").items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file = target.split("#")[0]
            if file and "://" not in file and not (ROOT / name).parent.joinpath(file).exists():
                broken.append(f"{name}: {target}")
    assert broken == []


def test_every_invariant_stands_in_its_page_and_in_a_test() -> None:
    page = (ROOT / "docs" / "design" / "invariants.md").read_text(encoding="utf-8")
    listed = [int(number) for number in re.findall(r"^(\d+)\. \S", page, re.MULTILINE)]
    assert listed == list(range(1, 45))
    tests = (ROOT / "tests" / "contracts" / "invariants").glob("test_*.py")
    names = [
        name
        for file in tests
        for name in re.findall(r"def test_invariant_(\d\d)_", file.read_text())
    ]
    assert {int(name) for name in names} == set(listed)


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=str)
def test_issue_templates_have_a_form(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem != "config":
        assert {"name", "description", "body"} <= set(form)
        assert all({"id", "attributes"} <= set(field) for field in form["body"])


def test_the_citation_has_the_version_and_the_licence() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == lightning_transformer.__version__
    assert cited["license"] == "Apache-2.0"


def test_the_page_of_floors_is_the_table_of_the_import_test() -> None:
    page = (ROOT / "docs" / "design" / "floors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| (.+?) \|", page, re.MULTILINE)
    listed_floors = {
        name.removesuffix(".py").replace("/", "."): int(number)
        for number, names in rows
        for name in re.findall(r"`([\w./]+)`", names)
    }
    source = (ROOT / "tests" / "repository" / "test_imports.py").read_text(encoding="utf-8")
    table = re.search(r"^FLOORS = (\{.*?^\})", source, re.MULTILINE | re.DOTALL)
    assert table is not None
    floors = ast.literal_eval(table[1])
    commands = {"", "__main__", "compare"}  # the package itself, and how it is started
    assert listed_floors == {name: floor for name, floor in floors.items() if name not in commands}
