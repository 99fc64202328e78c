"""Every command of the README and the docs is one that works.

The quick test composes and checks each; the slow one runs each as it stands, but for `debug=fast`
(two steps instead of a whole training) with small batches, and files and runs that a reader would
have. The first of them starts an interpreter; the others find torch loaded.
"""

import gzip
import importlib.util
import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightning_transformer.cards.table import with_table
from lightning_transformer.config.compose import preflight, register
from tests.helpers.forked import run_module

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
LOOK = "python -m lightning_transformer.data"
# Run by the continuous integration or by hand: installing, testing, looking.
ELSEWHERE = ("pip install ", "tensorboard ", "eval ", "pytest", "make ")


def pages(n: int) -> list[str]:
    """Texts of eight sentences that stages of cleaning let pass."""
    draw = random.Random(1)
    words = [
        f"{a}{b}" for a in ("sea", "win", "mor", "lan", "tree") for b in ("er", "ing", "s", "d")
    ]
    return [
        "\n".join(f"The {' '.join(draw.choices(words, k=9))} of {i}." for _ in range(8))
        for i in range(n)
    ]


FILES = {
    "web.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in pages(300)),
    "book.txt": "".join(
        f"Day {i} was like any other, and nobody knew its end.\n" for i in range(250)
    ),
    "texts/a.txt": "The first text says one thing about the sea and another.\n" * 120,
    "texts/b.txt": "The second text says something else about the mountains.\n" * 120,
    "en.txt": "".join(f"the number is {i}\n" for i in range(400)),
    "de.txt": "".join(f"die zahl ist {i}\n" for i in range(400)),
    "reviews.csv": "text,label,stars\n"
    + "".join(
        f"it was {'good' if i % 2 else 'bad'} number {i},{i % 2},{1 + i % 5}\n" for i in range(400)
    ),
    "films.csv": "text,labels\n"
    + "".join(f"film {i},{'|'.join(['plot', 'music'][: i % 3])}\n" for i in range(400)),
    "poems.txt": "".join(f"a poem of number {i} and the sea\n" for i in range(400)),
    "stories.txt": "".join(f"a story of number {i}\n<|endoftext|>\n" for i in range(400)),
    "nested.jsonl": "".join(f'{{"meta": {{"body": "text {i} of many"}}}}\n' for i in range(400)),
    "en_test.txt": "the number is 1000\n",
    "de_test.txt": "die zahl ist 1000\n",
    "pairs.tsv": "source\ttarget\n" + "".join(f"it is {i}\tes ist {i}\n" for i in range(400)),
    "deu.txt": "".join(f'say "{i}\tsag "{i}\n' for i in range(400)),
    "sst.tsv": "".join(f'{i % 2}\t"good" is {i}\n' for i in range(400)),
    "treebank.conllu": "".join(
        f"# text = Ada saw {i}\n"
        + "".join(
            f"{k}\t{word}\t_\t{pos}\t_\t_\t_\t_\t_\t_\n"
            for k, word, pos in ((1, "Ada", "PROPN"), (2, "saw", "VERB"), (3, str(i), "NUM"))
        )
        + "\n"
        for i in range(400)
    ),
    "answers.jsonl": "".join(
        f'{{"prompt": "What is {i}?", "response": "A number."}}\n' for i in range(400)
    ),
    "preferences.jsonl": "".join(
        f'{{"prompt": "What is {i}?", "chosen": "A number.", "rejected": "Who knows?"}}\n'
        for i in range(400)
    ),
    "problems.jsonl": "".join(
        f'{{"prompt": "What is {i}+1?", "answer": "{i + 1}"}}\n' for i in range(400)
    ),
    "names.conll": "".join(f"Ada B-PER\nsaw O\nParis{i} B-LOC\n\n" for i in range(400)),
}

DOCUMENTS = [f"document {i} says something about the sea" for i in range(400)]


def write_binary(folder: Path) -> None:
    """Files of the pages that are no text."""
    # Not at the top: loading it takes seconds, and only the slow tests need it.
    from tests.helpers.model_folders import model_of, save

    save(model_of("bert", max_position_embeddings=512), folder / "my_model")
    lines = "".join(f'{{"text": "{text}"}}\n' for text in DOCUMENTS)
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    ids = np.frombuffer("\n".join(DOCUMENTS).encode(), dtype=np.uint8)
    np.save(folder / "ids.npy", ids)
    if importlib.util.find_spec("datasets"):
        import datasets

        datasets.Dataset.from_dict({"text": DOCUMENTS}).save_to_disk(folder / "my_dataset")


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


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What `python -m WORDS` does; joblib's processes wait for the end of an interpreter."""
    if "hydra/launcher=joblib" in words:
        program = [sys.executable, "-m", *words]
        return subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=600)
    return run_module(words, folder)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """A folder with the files that the pages speak of, and a finished run called RUN."""
    folder = tmp_path_factory.mktemp("reader")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    write_binary(folder)
    small = [*shlex.split(TRAIN)[1:], "debug=fast", SMALL, "hydra.run.dir=outputs/runs/RUN"]
    subprocess.run([sys.executable, *small], cwd=folder, check=True, timeout=600)
    return folder


# What a page says of length, and what is enough to see that the command works.
SHORTER = {
    r"trainer\.max_steps=\S+": "trainer.max_steps=3",
    r"trainer\.val_every=\S+": "trainer.val_every=3",
    r"schedule\.warmup_steps=0,60": "schedule.warmup_steps=0,1",
    r"seed=1,2(,3)?\b": "seed=1",
}
SMALL = "data.batch_size=4"


@pytest.mark.slow
@pytest.mark.parametrize("command", trainings())
def test_training_commands_run(command, reader):
    if "data.format=hub" in command:
        pytest.importorskip("datasets")
    for long, short in SHORTER.items():
        command = re.sub(long, short, command)
    words = shlex.split(command)[2:]
    # A model that was taught for two steps knows no sum, and its answers no preference.
    teaches = "hydra.run.dir=outputs/runs/SUMS" in words
    if not teaches and not any(a.startswith(("debug=", "resume=outputs")) for a in words):
        words.append("debug=fast")
        words += [SMALL] * ("data.batch_size=" not in command)
        # Samples of models in shards take most of the time of such a run.
        words += ["callbacks=none"] * ("trainer.devices=" in command)
    if "debug=lr_find" in words:
        words += [SMALL, "trainer.max_steps=20", "trainer.val_every=20"]
    words += ["task.max_new_tokens=5"] * ("data=problems" in words)
    if "init_from=outputs/runs/SUMS" in words and not (reader / "outputs/runs/SUMS").exists():
        taught = ["experiment=sums", "logger=none", "callbacks=none"]
        made = run(["lightning_transformer", *taught, "hydra.run.dir=outputs/runs/SUMS"], reader)
        assert made.returncode == 0, made.stdout + made.stderr
    done = run(words, reader)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({c for _, c in commands() if c.startswith(GENERATE)}))
def test_generating_commands_run(command, reader):
    words = shlex.split(command.split(" > ")[0])[2:]
    if "outputs/runs/TAGGER" in words:
        small = ["task=tagging", "model=encoder_only", "data=conll", "data.path=names.conll"]
        tagger = ["debug=fast", "hydra.run.dir=outputs/runs/TAGGER"]
        assert run(["lightning_transformer", *small, *tagger], reader).returncode == 0
    else:
        words = [re.sub(r"outputs/runs/\S*", "outputs/runs/RUN", word) for word in words]
        words += ["--max-new-tokens", "5"]
    done = run(words, reader)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({c for _, c in commands() if c.startswith(LOOK)}))
def test_looking_commands_run(command, reader):
    if "data.format=hub" in command:
        pytest.importorskip("datasets")
    done = run(shlex.split(command, comments=True)[2:], reader)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reads " in done.stdout
    assert done.stderr == ""


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
