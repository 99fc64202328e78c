"""Every command of the README and the docs is one that works.

The quick test composes and checks each; the slow one runs each as it stands, but for `debug=fast`
(two steps instead of a whole training) and files and runs that a reader would have.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_transformer.cards.table import with_table
from lightning_transformer.config.compose import preflight, register

ROOT = Path(__file__).parents[2]
# The pages of cards, claims and the catalogue are generated and have tests of their own.
GENERATED = [ROOT / "docs" / name for name in ("cards", "claims", "reference/catalogue.md")]
PAGES = [
    ROOT / "README.md",
    *(
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if not any(page.is_relative_to(place) for place in GENERATED)
    ),
]
TRAIN, GENERATE = "python -m lightning_transformer", "python -m lightning_transformer.generate"
# Run by the continuous integration or by hand: installing, testing, looking.
ELSEWHERE = ("pip install ", "tensorboard ", "eval ", "pytest", "make ")

FILES = {
    "book.txt": "It was a day like any other, and nobody knew what it would bring.\n" * 200,
    "texts/a.txt": "The first text says one thing about the sea and another.\n" * 120,
    "texts/b.txt": "The second text says something else about the mountains.\n" * 120,
    "en.txt": "".join(f"the number is {i}\n" for i in range(400)),
    "de.txt": "".join(f"die zahl ist {i}\n" for i in range(400)),
    "reviews.csv": "text,label\n"
    + "".join(f"it was {'good' if i % 2 else 'bad'} number {i},{i % 2}\n" for i in range(400)),
    "names.conll": "".join(f"Ada B-PER\nsaw O\nParis{i} B-LOC\n\n" for i in range(400)),
}


def commands() -> list[tuple[str, str]]:
    """(page, command) for each line of each bash block."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.strip()) for line in lines if line.strip()]
    return found


def trainings() -> list[str]:
    return sorted(
        {
            c
            for _, c in commands()
            if c.split(" | ")[0].split(" && ")[-1] == c
            and (c == TRAIN or c.startswith(f"{TRAIN} "))
        }
    )


def test_pages_hold_commands_of_known_kinds_only():
    assert len(commands()) > 20
    for page, command in commands():
        known = command.startswith((TRAIN, *ELSEWHERE)) or "lightning_transformer" in command
        assert known, f"{page}: no test covers {command!r}"


@pytest.mark.parametrize("command", trainings())
def test_training_commands_compose(command):
    arguments = [a for a in shlex.split(command)[3:] if not a.startswith(("-", "resume="))]
    register()
    n_jobs = preflight(arguments)
    assert (n_jobs > 1) == ("-m" in shlex.split(command)[3:])


def test_python_blocks_compile():
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    ]
    assert blocks
    for block in blocks:
        compile(block, "docs", "exec")


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """A folder with the files that the pages speak of, and a finished run called RUN."""
    folder = tmp_path_factory.mktemp("reader")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    small = [*shlex.split(TRAIN)[1:], "debug=fast", "hydra.run.dir=outputs/runs/RUN"]
    done = run([sys.executable, *small], folder)
    assert done.returncode == 0, done.stderr
    return folder


# What a page says of length, and what is enough to see that the command works.
SHORTER = {
    r"trainer\.max_steps=\S+": "trainer.max_steps=3",
    r"trainer\.val_every=\S+": "trainer.val_every=3",
    r"schedule\.warmup_steps=0,60": "schedule.warmup_steps=0,1",
    r"seed=1,2,3": "seed=1",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", trainings())
def test_training_commands_run(command, reader):
    for long, short in SHORTER.items():
        command = re.sub(long, short, command)
    program = [sys.executable, *shlex.split(command)[1:]]
    if not any(a.startswith(("debug=", "resume=outputs")) for a in program):
        program.append("debug=fast")
    done = run(program, reader)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({c for _, c in commands() if c.startswith(GENERATE)}))
def test_generating_commands_run(command, reader):
    program = [sys.executable, *shlex.split(command)[1:]]
    kept = [re.sub(r"outputs/runs/\S*", "outputs/runs/RUN", a) for a in program]
    done = run(kept, reader)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_the_table_of_options_is_what_is_on_disk():
    found = {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted((ROOT / "conf").iterdir())
        if folder.is_dir()
    }
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_table(text, found) == text, "run `make docs`"


def test_every_group_has_a_row_in_add_a_component():
    text = (ROOT / "docs/guides/add_a_component.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[`\w, ]+`) \| .+ \| .+ \|$", text, re.M)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    groups = sorted(folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir())
    assert sorted(named) == groups
